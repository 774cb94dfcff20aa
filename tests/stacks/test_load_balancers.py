"""The load balancer before a gateway, as the mesh file says: one that is made, or target groups of yours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshcert.cli.costs.offline import offline_plan
from meshcert.mesh import load_mesh
from tests.meshcert.mesh.mesh_slips import REMOVED, changed
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

CERTIFICATE = "arn:aws:acm:us-west-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
GROUP = "arn:aws:elasticloadbalancing:us-west-1:111122223333:targetgroup/edge/0123456789abcdef"
EXISTING = {
    "vpc": "vpc-0123456789abcdef0",
    "cidrs": ["172.16.0.0/16"],
    "subnets": {"us-west-1a": "subnet-0aaaaaaaaaaaaaaaa"},
}
PLACE = "services.colorgateway.load_balancer"


def synthesised(folder: Path, balancer: Any, *more: tuple[str, object]) -> Templates:
    """The templates of the Color app's mesh with a load balancer."""
    file = folder / "mesh.yaml"
    file.write_bytes(changed((PLACE, balancer), *more))
    return synthesise(folder / "out", mesh=str(file))


def admitted(found: Templates, described: str) -> list[Any]:
    """Whom the security group that is described so admits from outside: sources and port."""
    (group,) = [
        group.properties
        for group in found.resources("AWS::EC2::SecurityGroup")
        if described in group.properties["GroupDescription"]
    ]
    rules = group.get("SecurityGroupIngress", [])
    return [(rule.get("CidrIp") or rule["SourceSecurityGroupId"], rule["FromPort"]) for rule in rules]


def test_one_on_the_internet_stands_in_public_subnets_and_admits_whom_the_file_names(tmp_path: Path) -> None:
    """At its own port; TLS still ends in Envoy."""
    office = {"scheme": "internet-facing", "port": 443, "clients": [{"cidr": "203.0.113.0/24"}]}
    found = synthesised(tmp_path, office)

    (balancer,) = found.resources("AWS::ElasticLoadBalancingV2::LoadBalancer")
    (listener,) = found.resources("AWS::ElasticLoadBalancingV2::Listener")
    assert (balancer.properties["Scheme"], balancer.properties["Type"]) == ("internet-facing", "network")
    assert all("Public" in str(subnet) for subnet in balancer.properties["Subnets"])
    assert (listener.properties["Port"], listener.properties["Protocol"]) == (443, "TCP")
    assert admitted(found, "Clients of the gateway") == [("203.0.113.0/24", 443)]


def test_an_application_load_balancer_ends_tls_and_speaks_tls_to_envoy(tmp_path: Path) -> None:
    """Any answer of Envoy's counts as healthy."""
    found = synthesised(tmp_path, {"type": "application", "certificate": CERTIFICATE})

    (balancer,) = found.resources("AWS::ElasticLoadBalancingV2::LoadBalancer")
    (listener,) = found.resources("AWS::ElasticLoadBalancingV2::Listener")
    (group,) = found.resources("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert balancer.properties["Type"] == "application"
    assert listener.properties["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    assert listener.properties["Protocol"] == "HTTPS"
    assert (group.properties["Protocol"], group.properties["ProtocolVersion"]) == ("HTTPS", "HTTP1")
    assert group.properties["Matcher"] == {"HttpCode": "200-499"}


def test_ecs_registers_tasks_in_a_target_group_of_yours_and_no_load_balancer_is_made(tmp_path: Path) -> None:
    """Its load balancer's security group is let in; a plan prices what is the mesh's."""
    yours = {"target_groups": {8443: GROUP}, "clients": [{"security_group": "sg-0123456789abcdef0"}]}
    found = synthesised(tmp_path, yours, ("network", {"existing": EXISTING}))

    made = {resource["Type"] for resource in found.by_stack["services"]["Resources"].values()}
    registered = [
        each for service in found.resources("AWS::ECS::Service") for each in service.properties.get("LoadBalancers", [])
    ]
    assert not any(kind.startswith("AWS::ElasticLoadBalancingV2") for kind in made)
    assert [(each["TargetGroupArn"], each["ContainerPort"]) for each in registered] == [(GROUP, 8443)]
    assert ("sg-0123456789abcdef0", 8443) in admitted(found, "Tasks of colorgateway")
    prices = {line.what: line.dollars for line in offline_plan(load_mesh(tmp_path / "mesh.yaml")).workload}
    assert prices["load balancers"] == 0


@pytest.mark.parametrize("switch", [False, REMOVED], ids=["false", "left out"])
def test_no_load_balancer_is_made_where_the_file_asks_for_none(tmp_path: Path, switch: object) -> None:
    """As before."""
    mesh = tmp_path / "mesh.yaml"
    mesh.write_bytes(changed((PLACE, switch)))

    assert load_mesh(mesh).services["colorgateway"].load_balancer is None
