"""The network: of the mesh's own as the file says, or a VPC of yours in which nothing is made but security groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.meshcert.mesh.mesh_slips import REMOVED, changed
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

VPC = "vpc-0123456789abcdef0"
NAMESPACE = "ns-0123456789abcdef"
CIDRS = ["172.16.0.0/16", "172.20.0.0/16"]
TASKS = {"us-west-1a": "subnet-0aaaaaaaaaaaaaaaa", "us-west-1c": "subnet-0cccccccccccccccc"}
BALANCERS = {"us-west-1a": "subnet-0bbbbbbbbbbbbbbbb"}
EXISTING = {"vpc": VPC, "cidrs": CIDRS, "subnets": TASKS, "load_balancer_subnets": BALANCERS}


def synthesised(folder: Path, network: dict[str, Any]) -> Templates:
    """The templates of the demo's mesh in a network."""
    file = folder / "mesh.yaml"
    file.write_bytes(changed(("network", network)))
    return synthesise(folder / "out", mesh=str(file))


def admitted(found: Templates) -> list[str]:
    """The addresses that the gateway's load balancer admits."""
    (group,) = [
        group.properties
        for group in found.resources("AWS::EC2::SecurityGroup")
        if group.properties["GroupDescription"] == "Clients of the gateway"
    ]
    return sorted(rule["CidrIp"] for rule in group["SecurityGroupIngress"])


@pytest.fixture(scope="module")
def yours(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a mesh in a VPC of somebody's."""
    return synthesised(tmp_path_factory.mktemp("yours"), {"existing": EXISTING})


def test_services_are_made_in_a_namespace_of_yours(tmp_path: Path) -> None:
    """And no namespace is."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(("network", {"existing": EXISTING}), ("mesh.namespace_id", NAMESPACE)))
    found = synthesise(tmp_path / "out", mesh=str(file))

    services = found.resources("AWS::ServiceDiscovery::Service")
    records = [service.properties["DnsConfig"]["NamespaceId"] for service in services]
    assert set(records) == {NAMESPACE}
    assert found.resources_if_any("AWS::ServiceDiscovery::PrivateDnsNamespace") == []


def test_nothing_is_made_in_a_vpc_of_yours_but_security_groups_and_load_balancers(yours: Templates) -> None:
    """No subnet, route, gateway or endpoint: its owner has these."""
    made = {
        kind
        for template in yours.by_stack.values()
        for kind in (resource["Type"] for resource in template["Resources"].values())
        if kind.startswith(("AWS::EC2::", "AWS::ElasticLoadBalancingV2::"))
    }

    assert made <= {
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
    }


def test_everything_stands_in_the_vpc_and_in_the_subnets_that_the_file_names(yours: Templates) -> None:
    """Tasks, load balancers, security groups and the namespace's zone."""
    networks = [
        service.properties["NetworkConfiguration"]["AwsvpcConfiguration"]
        for service in yours.resources("AWS::ECS::Service")
    ]
    balancers = [balancer.properties for balancer in yours.resources("AWS::ElasticLoadBalancingV2::LoadBalancer")]
    placed = yours.resources("AWS::EC2::SecurityGroup", "AWS::ElasticLoadBalancingV2::TargetGroup")

    assert all(network["Subnets"] == list(TASKS.values()) for network in networks)
    assert all(network["AssignPublicIp"] == "DISABLED" for network in networks)
    assert all(balancer["Subnets"] == list(BALANCERS.values()) for balancer in balancers)
    assert {resource.properties["VpcId"] for resource in placed} == {VPC}
    (namespace,) = yours.resources("AWS::ServiceDiscovery::PrivateDnsNamespace")
    assert namespace.properties["Vpc"] == VPC


def test_a_load_balancer_admits_every_address_of_the_vpc_and_no_other(yours: Templates) -> None:
    """A VPC may have several ranges."""
    assert admitted(yours) == CIDRS


def test_load_balancers_stand_beside_the_tasks_if_no_subnets_are_named_for_them(tmp_path: Path) -> None:
    """In public subnets without NAT, tasks have public addresses if the file says so."""
    existing = {"vpc": VPC, "cidrs": CIDRS, "subnets": TASKS, "public_addresses": True}
    found = synthesised(tmp_path, {"existing": existing})

    (balancer,) = found.resources("AWS::ElasticLoadBalancingV2::LoadBalancer")
    addresses = {
        service.properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"]
        for service in found.resources("AWS::ECS::Service")
    }
    assert balancer.properties["Subnets"] == list(TASKS.values())
    assert addresses == {"ENABLED"}


@pytest.mark.parametrize(
    ("network", "addresses", "gateways"),
    [
        (REMOVED, "10.0.0.0/16", 1),
        ({"cidr": "172.20.0.0/20"}, "172.20.0.0/20", 1),
        ({"cidr": "10.7.0.0/24", "nat_gateways": "one_per_zone"}, "10.7.0.0/24", 2),
        ({"egress": "endpoints", "nat_gateways": "one_per_zone"}, "10.0.0.0/16", 0),
    ],
    ids=["nothing said", "addresses", "a way out for each zone", "no way out"],
)
def test_a_network_of_its_own_has_the_addresses_and_the_ways_out_that_the_file_says(
    tmp_path: Path, network: Any, addresses: str, gateways: int
) -> None:
    """Load balancers admit these addresses."""
    found = synthesised(tmp_path, network)

    (vpc,) = found.resources("AWS::EC2::VPC")
    assert vpc.properties["CidrBlock"] == addresses
    # Where tools.moves.refused_moves looks for what was made.
    made = found.resources("AWS::EC2::VPC", "AWS::ServiceDiscovery::PrivateDnsNamespace")
    assert [each.stack for each in made] == ["services"] * 2
    assert {"colorgatewayRootCa", "colortellerRootCa"} <= found.by_stack["pki"]["Outputs"].keys()
    assert len(found.resources_if_any("AWS::EC2::NatGateway")) == gateways
    assert admitted(found) == [addresses]
