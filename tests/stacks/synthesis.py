"""The demo's mesh as CloudFormation templates, synthesised without bundling and without a network."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from aws_cdk import App

from app import build

if TYPE_CHECKING:
    from aws_cdk.cx_api import CloudFormationStackArtifact

ROOT = Path(__file__).resolve().parent.parent.parent
# Bundling would run pip; what is in a bundle is tested where it runs.
CONTEXT = {
    **json.loads((ROOT / "cdk.json").read_text())["context"],
    "mesh": str(ROOT / "mesh.yaml"),
    "aws:cdk:bundling-stacks": [],
}
WITHOUT_COPIES = {"aws:cdk:disable-asset-staging": True}
"""Each image's context stays where it is: copying it for each mesh is a third of a synthesis, and nobody builds it."""


@dataclass(frozen=True)
class Resource:
    """
    A resource of a template.

    Args:
        stack: ``pki``, ``identities``, ``services`` or ``renewal``.
        logical_id: Its id in the template.
        type: Its CloudFormation type.
        definition: Everything the template says of it.
    """

    stack: str
    logical_id: str
    type: str
    definition: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        """Its properties."""
        properties: dict[str, Any] = self.definition.get("Properties", {})
        return properties


@dataclass(frozen=True)
class Statement:
    """
    A statement of an identity-based policy, actions and resources as lists.

    Args:
        role: Logical id of the role.
        effect: ``Allow`` or ``Deny``.
        actions: Its actions.
        resources: Its resources as JSON text: they contain CloudFormation functions.
        conditions: Its conditions.
    """

    role: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """
    The synthesised templates by stack.

    Args:
        by_stack: ``pki``, ``identities``, ``services``, ``renewal`` → template.
        protected: The stacks that CloudFormation does not delete.
    """

    by_stack: dict[str, dict[str, Any]]
    protected: frozenset[str]

    def resources(self, *types: str) -> list[Resource]:
        """All resources of these types; a type that is not there at all would make a claim about it empty: an error."""
        found = self.resources_if_any(*types)
        assert {resource.type for resource in found} == set(types)
        return found

    def resources_if_any(self, *types: str) -> list[Resource]:
        """All resources of these types, also if there are none."""
        return [
            Resource(stack, logical_id, definition["Type"], definition)
            for stack, template in self.by_stack.items()
            for logical_id, definition in template.get("Resources", {}).items()
            if definition["Type"] in types
        ]

    def statements(self) -> list[Statement]:
        """
        Every statement of every policy of ours, once for each role it is attached to.

        Roles have their rights inline or from AWS::IAM::Policy: managed policies would be missed here, so there must
        be none.
        """
        roles = self.resources("AWS::IAM::Role")
        for role in roles:
            assert "ManagedPolicyArns" not in role.properties, role.logical_id
        assert not self.resources_if_any("AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy")
        documents = [
            (role["Ref"], policy.properties["PolicyDocument"])
            for policy in self.resources("AWS::IAM::Policy")
            for role in policy.properties["Roles"]
        ]
        documents += [
            (role.logical_id, policy["PolicyDocument"])
            for role in roles
            for policy in role.properties.get("Policies", [])
        ]
        return [
            Statement(
                role=role,
                effect=statement["Effect"],
                actions=_texts(statement["Action"]),
                resources=_texts(statement["Resource"]),
                conditions=statement.get("Condition", {}),
            )
            for role, document in documents
            for statement in document["Statement"]
        ]


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(item if isinstance(item, str) else json.dumps(item, sort_keys=True) for item in items)


def assemble(outdir: Path, **context: Any) -> list[CloudFormationStackArtifact]:
    """The stacks for the test context with some values changed, written into a folder."""
    return build(App(outdir=str(outdir), context={**CONTEXT, **WITHOUT_COPIES, **context})).synth().stacks


def synthesise(outdir: Path, **context: Any) -> Templates:
    """The templates for the test context with some values changed; each mesh is synthesised once."""
    mesh = yaml.safe_load(Path(context.get("mesh", CONTEXT["mesh"])).read_text())
    key = json.dumps({**context, "mesh": mesh}, sort_keys=True)
    if key not in _synthesised:
        name = mesh["mesh"]["name"]
        stacks = {stack.stack_name.removeprefix(f"{name}-"): stack for stack in assemble(outdir, **context)}
        protected = frozenset(name for name, stack in stacks.items() if stack.termination_protection)
        _synthesised[key] = Templates({name: stack.template for name, stack in stacks.items()}, protected)
    return copy.deepcopy(_synthesised[key])


_synthesised: dict[str, Templates] = {}
