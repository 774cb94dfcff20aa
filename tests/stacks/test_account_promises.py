"""What an account is promised beside the mesh's own work: what it pays, what it keeps, who acts in its name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aws_cdk import App

from app import build
from tests.meshcert.mesh.mesh_slips import REMOVED, changed
from tests.stacks.synthesis import CONTEXT, synthesise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stacks.synthesis import Resource, Templates

THIS_ACCOUNT = {"Ref": "AWS::AccountId"}


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a mesh that turns every switch of this page the other way."""
    return _mesh(
        tmp_path_factory.mktemp("careful"),
        ("mesh.deletion_protection", True),
        ("cluster", {"container_insights": True}),
        ("network.availability_zones", ["us-west-1a", "us-west-1c"]),
        ("hierarchies.colorteller.revocation", "crl"),
    )


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a mesh file that leaves out what mesh.yaml says of its application."""
    application = "services.colorteller.application"
    left_out = [(f"{application}.{field}", REMOVED) for field in ("drop_capabilities", "egress")]
    return _mesh(tmp_path_factory.mktemp("brief"), *left_out)


def _mesh(folder: Path, *changes: tuple[str, object]) -> Templates:
    file = folder / "mesh.yaml"
    file.write_bytes(changed(*changes))
    return synthesise(folder / "out", mesh=str(file))


@dataclass(frozen=True)
class Promise:
    """
    Something that a setting decides.

    Args:
        what: In words.
        of: Types of the resources it is about.
        read: Reads it from one of them.
        by_default: What it is if the mesh file says nothing.
        switched: What it is in the mesh that turns every switch.
    """

    what: str
    of: str
    read: Callable[[dict[str, Any]], Any]
    by_default: Any
    switched: Any


def _attribute(key: str) -> Callable[[dict[str, Any]], Any]:
    def read(properties: dict[str, Any]) -> Any:
        attributes = {each["Key"]: each["Value"] for each in properties["LoadBalancerAttributes"]}
        return attributes[key]

    return read


def _insights(properties: dict[str, Any]) -> Any:
    return {setting["Name"]: setting["Value"] for setting in properties["ClusterSettings"]}["containerInsights"]


PROMISES = (
    Promise("metrics that cost money", "AWS::ECS::Cluster", _insights, "disabled", "enabled"),
    Promise(
        "a table that cannot be deleted",
        "AWS::DynamoDB::Table",
        # Off is written out: AWS leaves what a template leaves out as it is, and the switch would stay on.
        lambda properties: properties["DeletionProtectionEnabled"],
        False,
        True,
    ),
    Promise(
        "a load balancer that cannot be deleted",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        _attribute("deletion_protection.enabled"),
        "false",
        "true",
    ),
    Promise(
        "zones",
        "AWS::EC2::Subnet",
        lambda properties: str(properties["AvailabilityZone"]).startswith("us-west-1"),
        False,
        True,
    ),
)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.what)
def test_a_switch_decides_and_is_off_by_default(templates: Templates, careful: Templates, promise: Promise) -> None:
    """For every resource of the kind."""
    for found, expected in ((templates, promise.by_default), (careful, promise.switched)):
        values = {resource.logical_id: promise.read(resource.properties) for resource in found.resources(promise.of)}
        assert set(values.values()) == {expected}, values


def test_an_application_has_no_capabilities_if_the_mesh_file_says_so(templates: Templates, brief: Templates) -> None:
    """Otherwise it has those that ECS leaves to every container: an image that steps down from root needs some."""
    dropped = [
        container.get("LinuxParameters", {}).get("Capabilities")
        for found in (brief, templates)
        for task in found.resources("AWS::ECS::TaskDefinition")
        for container in task.properties["ContainerDefinitions"]
        if container["Name"] == "application"
    ]

    assert dropped == [None, {"Drop": ["ALL"]}]


def test_egress_changes_the_group_in_place(templates: Templates, brief: Templates) -> None:
    """Nothing but its own rules differs, so AWS replaces no group, and no task."""
    (narrowed, as_before) = (
        {group.logical_id: dict(group.properties) for group in found.resources("AWS::EC2::SecurityGroup")}
        for found in (templates, brief)
    )
    rules = {
        name: (group.pop("SecurityGroupEgress", None), as_before[name].pop("SecurityGroupEgress", None))
        for name, group in narrowed.items()
    }

    assert narrowed == as_before
    ((now, before),) = [pair for pair in rules.values() if pair[0] != pair[1]]
    assert [(rule["CidrIp"], rule["IpProtocol"]) for rule in before] == [("0.0.0.0/0", "-1")]
    assert [(rule["CidrIp"], rule["IpProtocol"], rule["FromPort"]) for rule in now] == [("0.0.0.0/0", "tcp", 443)]


def test_named_zones_are_the_networks_zones(careful: Templates) -> None:
    """Each has a subnet for tasks and one for the way out."""
    zones = [subnet.properties["AvailabilityZone"] for subnet in careful.resources("AWS::EC2::Subnet")]

    assert sorted(zones) == ["us-west-1a", "us-west-1a", "us-west-1c", "us-west-1c"]


@pytest.mark.parametrize(("changes", "protected"), [((), {"pki"}), ((("mesh.deletion_protection", True),), None)])
def test_stacks_are_protected_as_the_mesh_file_says(
    tmp_path: Path, changes: tuple[tuple[str, object], ...], protected: set[str] | None
) -> None:
    """The CAs' stack always is, because a lost CA cannot be made again."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(*changes))
    assembly = build(App(outdir=str(tmp_path / "out"), context={**CONTEXT, "mesh": str(file)})).synth()

    found = {stack.stack_name.rsplit("-", 1)[-1]: bool(stack.termination_protection) for stack in assembly.stacks}
    assert {name for name, on in found.items() if on} == (protected or set(found))


@pytest.mark.parametrize("egress", ["nat", "endpoints"])
def test_image_layers_and_rows_never_go_through_a_paid_gateway(tmp_path: Path, egress: str) -> None:
    """Gateway endpoints for S3 and DynamoDB cost nothing, and every subnet of tasks has them in its routes."""
    found = _mesh(tmp_path, ("network.egress", egress))
    tables = {
        table.logical_id for table in found.resources("AWS::EC2::RouteTable") if "ServicesSubnet" in table.logical_id
    }
    gateways = [
        endpoint.properties
        for endpoint in found.resources("AWS::EC2::VPCEndpoint")
        if endpoint.properties["VpcEndpointType"] == "Gateway"
    ]

    assert sorted(json.dumps(gateway["ServiceName"]).rpartition(".")[2][:2] for gateway in gateways) == ["dy", "s3"]
    for gateway in gateways:
        assert tables <= {table["Ref"] for table in gateway["RouteTableIds"]}


# Services of AWS that act in a role for whoever asks them: each must be told for whom alone (IAM guide, "The confused
# deputy problem"). Lambda is not among them: nobody passes it another account's role.
ASKED_FOR_WHOM = {"ecs-tasks.amazonaws.com", "scheduler.amazonaws.com"}


def test_no_other_account_has_a_service_act_in_our_roles(templates: Templates) -> None:
    """Roles of tasks and schedules are trusted to their service for this account alone; tasks for this region, too."""
    trusts = {role.logical_id: _trust(role) for role in templates.resources("AWS::IAM::Role")}
    asked = {name: trust for name, trust in trusts.items() if trust["Principal"].get("Service") in ASKED_FOR_WHOM}
    of_tasks = [trust for trust in asked.values() if trust["Principal"]["Service"] == "ecs-tasks.amazonaws.com"]

    assert len(of_tasks) == 3, "two services and the execution role"
    for name, trust in asked.items():
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": THIS_ACCOUNT}, name
    for trust in of_tasks:
        assert trust["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1][-1] == ":*"


def _trust(role: Resource) -> dict[str, Any]:
    (statement,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
    return dict(statement)


def test_what_is_kept_can_be_adopted(careful: Templates) -> None:
    """
    Whatever is kept and can be imported depends on nothing but what is kept, too.

    ``cdk import`` sends the definitions of the chosen resources as they are, so one that waits for a resource that is
    gone makes the whole template invalid: "Unresolved resource dependencies".
    """
    for stack, template in careful.by_stack.items():
        resources = template["Resources"]
        kept = {name for name, one in resources.items() if one.get("DeletionPolicy", "Delete") != "Delete"}
        for name in kept:
            needed = _needed(resources[name]) & set(resources)
            assert needed <= kept, f"{stack}: {name} needs {needed - kept}"


def test_the_net_for_what_a_resource_needs_catches_every_way_to_name_one() -> None:
    """Order, reference, attribute, and a text with one in it."""
    definition = yaml.safe_load("""
        DependsOn: [First]
        Properties:
          Ref: {Ref: Second}
          Attribute: {"Fn::GetAtt": [Third, Arn]}
          Text: {"Fn::Join": ["", [{Ref: Fourth}]]}
    """)

    assert _needed(definition) == {"First", "Second", "Third", "Fourth"}


def _needed(definition: dict[str, Any]) -> set[str]:
    depends = definition.get("DependsOn", [])
    found = {depends} if isinstance(depends, str) else set(depends)
    waiting: list[Any] = [definition.get("Properties", {})]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("Ref"), str):
                found.add(value["Ref"])
            if isinstance(value.get("Fn::GetAtt"), list):
                found.add(value["Fn::GetAtt"][0])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
