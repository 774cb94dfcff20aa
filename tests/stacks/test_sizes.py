"""The largest mesh that the stacks support within CloudFormation's and IAM's limits."""

from __future__ import annotations

import json
from collections import Counter
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aws_cdk import App, CfnOutput, Stack

from meshcert.mesh import load_mesh, read_mesh
from meshcert.mesh.checks.limits import MOST_RESOURCES, STORED_SETTINGS, resources
from tests.meshcert.mesh.mesh_slips import changed, identity
from tests.meshcert.mesh.test_applications import KEY, PARAMETER, SECRET
from tests.meshcert.mesh.test_clients import DECLARED, PRINCIPAL
from tests.stacks.synthesis import CONTEXT, ROOT, synthesise
from tests.stacks.test_network import EXISTING, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.stacks.synthesis import Templates

# CloudFormation quotas: resources of a stack, bytes of a template in S3. IAM quota: characters of a role's inline
# policies, white space not counted.
LARGEST_TEMPLATE, LONGEST_POLICIES = 1_000_000, 10_240
# An identity takes four resources of its stack, a service five of its own, and each call a rule: the services' stack is
# full first.
SERVICES = 77
# All have roots that the gateway's tasks read. Of a few more, `meshcert check` refuses the mesh.
HIERARCHIES = [f"hierarchy-of-team-{number:02}" for number in range(45)]
EGRESS = [
    {"cidr": "10.20.0.0/16", "ports": [5432, 5433]},
    {"prefix_list": "pl-0123456789abcdef0", "ports": [443, 6379]},
    {"security_group": "sg-0123456789abcdef0", "ports": [8125], "protocol": "udp"},
]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """A gateway that calls 76 nodes, each a service with an identity of its own, signed by 45 hierarchies in turn."""
    folder = tmp_path_factory.mktemp("large")
    file = folder / "mesh.yaml"
    file.write_text(
        yaml.safe_dump(mesh_of([f"service-{number}" for number in range(SERVICES)], HIERARCHIES), sort_keys=False)
    )
    return synthesise(folder / "assembly", mesh=str(file))


def mesh_of(names: list[str], hierarchies: Iterable[str] = ("only",)) -> dict[str, Any]:
    """
    A mesh file's values: the first service is a gateway behind a load balancer, and calls all the others.

    Args:
        hierarchies: They sign the services' identities in turn.
    """
    mesh: dict[str, Any] = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    namespace = mesh["mesh"]["namespace"]
    gateway, *nodes = names
    only = mesh["hierarchies"]["colorgateway"]
    mesh["hierarchies"] = {
        name: only | {"subject": only["subject"] | {"organizational_unit": name}} for name in hierarchies
    }
    signed_by = dict(zip(names, cycle(hierarchies), strict=False))
    mesh["identities"] = {
        name: {"hierarchy": signed_by[name], "dns_names": [f"{name}.{namespace}"], "key_algorithm": "EC_prime256v1"}
        for name in names
    }

    def listeners(name: str, port: int) -> list[dict[str, Any]]:
        tls = {"mode": "STRICT", "certificate": {"identity": name}}
        return [{"port_mapping": {"port": port, "protocol": "http"}, "tls": tls}]

    def validation(name: str) -> dict[str, Any]:
        names = {"match": {"exact": [f"{name}.{namespace}"]}}
        return {"trust": {"hierarchy": signed_by[name]}, "subject_alternative_names": names}

    mesh["virtual_gateways"] = {
        gateway: {
            "listeners": listeners(gateway, 8443),
            "backends": [
                {"virtual_node": node, "client_policy": {"tls": {"validation": validation(node)}}} for node in nodes
            ],
            "routes": [
                {"match": {"prefix": "/" if node == nodes[0] else f"/{node}"}, "virtual_node": node} for node in nodes
            ],
        }
    }
    mesh["virtual_nodes"] = {node: {"listeners": listeners(node, 9443)} for node in nodes}
    application = {"image": "examples/color/colorteller", "port": 8080}
    mesh["services"] = {gateway: {"virtual_gateway": gateway, "load_balancer": True}}
    mesh["services"] |= {node: {"virtual_node": node, "application": application} for node in nodes}
    return mesh


def test_a_mesh_of_77_services_fits_cloudformation(large: Templates) -> None:
    """Every stack, in number of resources and in bytes."""
    assert len(large.resources("AWS::ECS::Service")) == SERVICES
    for stack, template in large.by_stack.items():
        assert len(template["Resources"]) <= MOST_RESOURCES, stack
        assert len(json.dumps(template)) <= LARGEST_TEMPLATE, stack


def test_a_service_takes_five_resources_and_an_identity_four(large: Templates) -> None:
    """Beside rules of security groups, one for each call."""
    kinds = Counter(
        definition["Type"] for template in large.by_stack.values() for definition in template["Resources"].values()
    )

    of_each = {kind for kind, count in kinds.items() if count >= SERVICES - 1}

    assert of_each - {"AWS::EC2::SecurityGroupIngress"} == {
        "AWS::IAM::Role",
        "AWS::ECS::TaskDefinition",
        "AWS::EC2::SecurityGroup",
        "AWS::ECS::Service",
        "AWS::ServiceDiscovery::Service",
        "AWS::CertificateManager::Certificate",
        "AWS::SecretsManager::Secret",
        "AWS::SecretsManager::ResourcePolicy",
        "Custom::MeshcertIdentity",
    }


def test_templates_are_written_without_white_space(tmp_path: Path) -> None:
    """CloudFormation counts it: a third of a template's megabyte."""
    app = App(outdir=str(tmp_path), context=CONTEXT)
    CfnOutput(Stack(app, "one"), "Output", value="value")
    app.synth()

    written = (tmp_path / "one.template.json").read_text()

    assert written == json.dumps(json.loads(written), separators=(",", ":"))


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (("network.availability_zones", ["us-west-1a", "us-west-1b", "us-west-1c"]),),
        (
            ("network.egress", "endpoints"),
            ("services.colorteller.application.secrets", {"LEVEL": PARAMETER}),
            ("hierarchies.colorteller.revocation", "crl"),
        ),
        (("network", {"existing": EXISTING}),),
        (
            ("network", {"existing": EXISTING}),
            ("mesh.namespace_id", NAMESPACE),
            ("mesh.secrets_key", KEY.replace("eu-central-1", "us-west-1")),
        ),
        (("network", {"nat_gateways": "one_per_zone"}),),
        (
            ("identities.more", identity("colorgateway", "more.mtls.local")),
            ("services.colorgateway.load_balancer", False),
        ),
        (("services.colorteller.application.egress", EGRESS),),
        (("logs", {"group_per_service": True}),),
        (
            ("logs", {"existing": "/shop", "keep_made": True}),
            ("services.colorteller.application.secrets", {"DB": SECRET}),
        ),
        (
            ("shards", {"one": ["colorgateway"], "two": ["colort*"]}),
            ("services.colorteller.application.egress", EGRESS),
        ),
        (("services.colorteller.application.secrets", {"DB": SECRET}),),
        (("identities.partner", DECLARED | {"client": {"principals": [PRINCIPAL]}}),),
        (("hierarchies.colorteller.usage", "short_lived"), ("identities.colorteller.issuer", "acm-pca")),
    ],
    ids=[
        "as it is",
        "three zones",
        "endpoints, one for a parameter, and lists",
        "a VPC of yours",
        "a namespace of yours in it, and a key",
        "a NAT gateway in each zone",
        "no load balancer, one more identity",
        "egress",
        "a log group for each service",
        "a log group of yours beside the made one",
        "shards",
        "secrets",
        "a client outside the mesh",
        "acm-pca",
    ],
)
def test_resources_are_counted_as_the_stacks_have_them(changes: tuple[Any, ...], tmp_path: Path) -> None:
    """What `meshcert check` refuses a mesh by."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(*changes))

    counted = resources(load_mesh(file))

    templates = synthesise(tmp_path / "assembly", mesh=str(file))
    assert counted == {stack: len(templates.by_stack[stack]["Resources"]) for stack in counted}


def test_a_large_mesh_is_counted_too_and_one_service_more_is_refused(large: Templates) -> None:
    """Without the right to the gateway's settings, which are too long for a task definition."""
    (mesh, more) = (
        read_mesh(yaml.safe_dump(mesh_of([f"service-{number}" for number in range(services)], HIERARCHIES)).encode())
        for services in (SERVICES, SERVICES + 1)
    )

    assert mesh.mesh is not None
    stored = [policy for policy in large.resources("AWS::IAM::Policy") if "ReadItsSettings" in policy.logical_id]
    counted = resources(mesh.mesh)
    assert len(stored) == STORED_SETTINGS
    assert counted["services"] + len(stored) == len(large.by_stack["services"]["Resources"])
    assert counted["identities"] == len(large.by_stack["identities"]["Resources"])
    assert [fault.place for fault in more.faults] == ["services"]


def test_the_renewal_stack_does_not_grow_with_the_mesh(large: Templates, templates: Templates) -> None:
    """Its rights and alarms go by name, prefix and tag: the thousandth identity adds nothing."""
    assert len(large.by_stack["renewal"]["Resources"]) == len(templates.by_stack["renewal"]["Resources"])


def test_every_roles_policies_fit_iam(large: Templates) -> None:
    """All of them are inline, the role's own and those beside it; the CDK would move longer ones into managed ones."""
    written: Counter[str] = Counter()
    for role in large.resources("AWS::IAM::Role"):
        for policy in role.properties.get("Policies", ()):
            written[role.logical_id] += _length(policy["PolicyDocument"])
    for policy in large.resources("AWS::IAM::Policy"):
        for role in policy.properties["Roles"]:
            written[role["Ref"]] += _length(policy.properties["PolicyDocument"])

    assert len(written) > SERVICES
    assert max(written.values()) <= LONGEST_POLICIES
    assert not large.resources_if_any("AWS::IAM::ManagedPolicy")


def _length(document: dict[str, Any]) -> int:
    return len(json.dumps(_as_sent(document), separators=(",", ":")))


def _as_sent(value: Any) -> Any:
    """A part of a policy as CloudFormation sends it; names of parameters are about as long as their values."""
    match value:
        case {"Ref": name} | {"Fn::Sub": name}:
            return name
        case {"Fn::Join": [between, parts]}:
            return between.join(map(_as_sent, parts))
        case {"Fn::GetAtt": _} | {"Fn::ImportValue": _}:
            return f"arn:aws:kms:us-west-1:111122223333:key/{'0' * 36}"
        case dict():
            return {key: _as_sent(each) for key, each in value.items()}
        case list():
            return [_as_sent(each) for each in value]
    assert isinstance(value, str), value
    return value
