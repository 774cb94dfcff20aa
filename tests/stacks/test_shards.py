"""Shards: what each stack holds, and what ties the stacks together."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aws_cdk import App, CfnWaitConditionHandle, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk.assertions import Template
from constructs import Construct

from app import build
from meshcert.mesh import Mesh
from meshcert.mesh.stacks.shards import MOVES_ASKED, shards_of, stack_of
from stacks.constructs.service_groups import ServiceGroups
from stacks.shards import scope_of_part
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import CONTEXT, Templates, assemble, synthesise
from tools.moves.made import Made

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Statement

SHARDS = {"front": ["colorgateway"], "back": ["colort*"]}


@pytest.fixture(scope="module")
def mesh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, each of its two services in a shard of its own."""
    file = tmp_path_factory.mktemp("shards") / "mesh.yaml"
    file.write_bytes(changed(("shards", SHARDS)))
    return file


@pytest.fixture(scope="module")
def sharded(mesh_file: Path) -> Templates:
    """Its templates."""
    return synthesise(mesh_file.parent / "out", mesh=str(mesh_file))


def test_a_service_and_an_identity_are_made_in_their_shards_stack(sharded: Templates) -> None:
    """And nothing of them in another, but a service's security group."""
    assert {each.properties["ServiceName"]: each.stack for each in sharded.resources("AWS::ECS::Service")} == {
        "colorgateway": "services-front",
        "colorteller": "services-back",
    }
    assert {each.properties["Identity"]: each.stack for each in sharded.resources("Custom::MeshcertIdentity")} == {
        "colorgateway": "identities-front",
        "colorteller": "identities-back",
    }
    assert {each.stack for each in sharded.resources("AWS::IAM::Role", "AWS::ECS::TaskDefinition")} >= {
        "services-front",
        "services-back",
    }
    tasks = [
        each.properties["GroupDescription"]
        for each in sharded.resources("AWS::EC2::SecurityGroup")
        if each.stack == "services" and each.properties["GroupDescription"].startswith("Tasks of ")
    ]
    assert sorted(tasks) == ["Tasks of colorgateway", "Tasks of colorteller"]


def test_a_rule_stands_with_its_callee_and_finds_both_groups_by_name(sharded: Templates) -> None:
    """Two services that call each other would else tie their stacks together, and neither could be deployed first."""
    [rule] = [
        each
        for each in sharded.resources("AWS::EC2::SecurityGroupIngress")
        if each.properties["Description"] == "A caller in the mesh"
    ]
    asked = sharded.by_stack[rule.stack]["Parameters"]
    told = {each.properties["Name"] for each in sharded.resources("AWS::SSM::Parameter")} - {"/meshcert/color/callers"}

    groups = [rule.properties[key]["Ref"] for key in ("GroupId", "SourceSecurityGroupId")]

    assert rule.stack == "services-back"
    assert [asked[group]["Default"] for group in groups] == [
        "/meshcert/color/group/colorteller",
        "/meshcert/color/group/colorgateway",
    ]
    assert {asked[group]["Type"] for group in groups} == {"AWS::SSM::Parameter::Value<String>"}
    assert {asked[group]["Default"] for group in groups} == told


def test_what_a_shard_imports_is_network_and_key_and_cas_never_a_secret_or_a_certificate(sharded: Templates) -> None:
    """An import cannot change while it is used: only of what is never replaced."""
    imported = {
        value
        for template in sharded.by_stack.values()
        for value in json.dumps(template).split('"')
        if value.startswith("color-") and ":ExportsOutput" in value
    }

    never = ("Secret", "Certificate", "Published", "Group", "Function", "Table")

    assert imported
    assert [value for value in imported if any(kind in value for kind in never)] == []


def test_stacks_are_deployed_in_an_order(mesh_file: Path, tmp_path: Path) -> None:
    """Bundles before leaves, secrets before tasks, the lifecycle last."""
    stacks = {stack.stack_name: stack for stack in assemble(tmp_path, mesh=str(mesh_file))}

    after = {name: {each.id for each in stack.dependencies} & stacks.keys() for name, stack in stacks.items()}

    assert after["color-identities-front"] == {"color-identities", "color-pki"}
    assert after["color-services"] >= {"color-identities-front", "color-identities-back"}
    assert after["color-services-front"] >= {"color-services"}
    assert "color-services-back" not in after["color-services-front"]
    assert "color-services-front" not in after["color-services-back"]
    assert after["color-renewal"] >= {"color-services", "color-services-front", "color-services-back"}


def test_every_role_may_what_it_may_without_shards(sharded: Templates, templates: Templates) -> None:
    """By its name, action for action and resource for resource."""
    assert _rights(sharded) == _rights(templates)


def _rights(of: Templates) -> set[str]:
    names = {role.logical_id: json.dumps(role.properties.get("RoleName")) for role in of.resources("AWS::IAM::Role")}
    return {json.dumps([names[each.role], *_comparable(each)]) for each in of.statements()}


def _comparable(statement: Statement) -> list[object]:
    return [statement.effect, statement.actions, statement.resources, statement.conditions]


def test_another_name_moves_nobody() -> None:
    """Membership goes by name alone, wherever in the file somebody stands and whoever comes."""
    shards = {"pay": ["ledger", "pay-*"], "web": ["shop"]}

    assert [shards_of(shards, name) for name in ("ledger", "pay-in", "shop", "ledger-2", "pay")] == [
        ["pay"],
        ["pay"],
        ["web"],
        [],
        [],
    ]
    assert (stack_of("services", shards, "shop"), stack_of("services", shards, "new")) == ("services-web", "services")


def test_a_part_of_a_service_keeps_its_id_when_another_service_is_called_so() -> None:
    """``ledger-routes`` beside the routes of ``ledger``: both are there, and what is deployed is not made anew."""
    alone, beside = (_mesh_of("ledger", *others) for others in ((), ("ledger-routes",)))

    found = []
    for mesh in (alone, beside):
        stack = Stack()
        for service in mesh.services:
            CfnWaitConditionHandle(Construct(stack, service), "Task")
        for part in ("ledger-routes", "ledger-balancer"):
            CfnWaitConditionHandle(Construct(scope_of_part(stack, part, mesh), part), "Resource")
        found.append(set(Template.from_stack(stack).to_json()["Resources"]))

    assert found[0] < found[1]
    assert len(found[1] - found[0]) == 1


def test_the_parameter_of_a_group_is_no_group_of_another_service() -> None:
    """``ledger`` has a group that is called ``ledger-group``, as a service may be."""
    stack, mesh = Stack(), _mesh_of("ledger", "ledger-group")
    groups = ServiceGroups(stack, "Groups", mesh=mesh, vpc=ec2.Vpc(stack, "Vpc"))
    groups.make_for_shards(["ledger", "ledger-group"])

    template = Template.from_stack(stack).to_json()["Resources"].values()

    told = {each["Properties"]["Name"] for each in template if each["Type"] == "AWS::SSM::Parameter"}
    assert told >= {"/meshcert/color/group/ledger", "/meshcert/color/group/ledger-group"}


ALIKE = ["pay", "pay-in", "payin", "pa-yin", "pay-group", "pay-routes", "pay-parameter", "group", "callers", "shared"]
PHYSICAL = {
    "AWS::IAM::Role": "RoleName",
    "AWS::ECS::Service": "ServiceName",
    "AWS::ECS::TaskDefinition": "Family",
    "AWS::SSM::Parameter": "Name",
    "Custom::MeshcertIdentity": "Identity",
}
"""Resources with a name that no other of the mesh may have, and the property that says it."""


def test_names_that_begin_or_read_alike_meet_nowhere(tmp_path: Path) -> None:
    """Whatever services, identities and shards are called, no two share a logical id, an export or a name in AWS."""
    values = yaml.safe_load(changed())
    del values["services"]["colorgateway"]["load_balancer"]
    (backend,) = values["virtual_gateways"]["colorgateway"]["backends"]
    for name in ALIKE:
        for section in ("identities", "virtual_nodes", "services"):
            values[section][name] = _renamed(values[section]["colorteller"], name)
        values["virtual_gateways"]["colorgateway"]["backends"].append(_renamed(backend, name))
        values["services"][name]["application"] = values["services"]["colorteller"]["application"]
    values["shards"] = {"pay": ["pay*", "pa-yin"], "pay-in": ["colorteller", "group"], "payin": ["callers", "shared"]}
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))

    # The CDK refuses a logical id that is taken, in the sections of a template likewise.
    templates = synthesise(tmp_path / "out", mesh=str(file))

    named = [(each.type, each.properties.get(PHYSICAL[each.type])) for each in templates.resources(*PHYSICAL)]
    names = [(kind, json.dumps(name)) for kind, name in named if name]
    exports = [
        json.dumps(output["Export"]["Name"])
        for template in templates.by_stack.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name, count in Counter(exports).items() if count > 1] == []
    made = Made.of(templates.by_stack["services"], frozenset(), None, templates.by_stack)
    assert made.admitted == {(callee, "colorgateway") for callee in [*ALIKE, "colorteller"]}
    assert made.homes == {
        (kind, name): stack_of(kind, values["shards"], name)
        for kind in ("services", "identities")
        for name in [*ALIKE, "colorteller", "colorgateway"]
    }


def test_a_change_in_a_shard_takes_no_export_away(sharded: Templates, tmp_path: Path) -> None:
    """The stack that exports is deployed first, and CloudFormation keeps an export that a shard still imports."""
    secrets = {"TOKEN": "arn:aws:secretsmanager:us-west-1:111122223333:secret:token-AbCdEf"}
    balancer = {"scheme": "internet-facing", "clients": [{"cidr": "0.0.0.0/0"}]}
    file = tmp_path / "mesh.yaml"
    file.write_bytes(
        changed(
            ("shards", {"back": ["color*"]}),
            ("services.colorteller.application.secrets", secrets),
            ("services.colorgateway.load_balancer", balancer),
        )
    )

    other = synthesise(tmp_path / "out", mesh=str(file))

    imported = {value for each in (sharded, other) for value in _imported(each)}
    for each in (sharded, other):
        exported = {
            output["Export"]["Name"]
            for template in each.by_stack.values()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }
        assert imported - exported == set()


def test_whoever_deploys_past_the_questions_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, of shards alone, and not by ``make deploy``: a synthesis cannot ask AWS what is deployed."""
    monkeypatch.setattr("app.add_stacks", lambda *_: None)
    file, told = tmp_path / "mesh.yaml", []

    for shards, context in (({}, {}), (SHARDS, {MOVES_ASKED: "true"}), (SHARDS, {})):
        file.write_bytes(changed(("shards", shards)))
        build(App(context={**CONTEXT, "mesh": str(file), **context}))
        told.append(capsys.readouterr().err)

    assert told[:2] == ["", ""]
    assert told[2].startswith("color has shards: deploy it with make deploy, which refuses")
    assert told[2].count("\n") == 1


def _renamed(part: object, name: str) -> Any:
    """A part of the example's mesh file for another service than the teller."""
    text = json.dumps(part).replace("colorteller.mtls", f"{name}.mtls")
    for key in ("identity", "virtual_node"):
        text = text.replace(f'"{key}": "colorteller"', f'"{key}": "{name}"')
    return json.loads(text)


def _imported(templates: Templates) -> set[str]:
    """What the stacks of shards import."""
    return {
        value
        for stack, template in templates.by_stack.items()
        for value in json.dumps(template["Resources"]).split('"')
        if value.startswith("color-") and ":ExportsOutput" in value and stack.partition("-")[2]
    }


def _mesh_of(*services: str) -> Mesh:
    """The example with the teller under these names, in a shard."""
    values = yaml.safe_load(changed())
    teller = values["services"]["colorteller"]
    values["services"] |= dict.fromkeys(services, teller)
    return Mesh.model_validate(values | {"shards": {"one": [*services]}})
