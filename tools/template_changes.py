"""What a deploy does to the resources of a stack: two templates, compared by CloudFormation's own reference."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

Template = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "build" / "node" / "node_modules" / "aws-cdk" / "db.json.gz"
"""The CloudFormation template reference, as the CDK CLI carries it for ``cdk diff``."""


@dataclass
class Change:
    """
    What a deploy does to one resource.

    Args:
        kind: ``new``, ``gone``, ``changed`` or ``replaced``.
        old: Its definition in the deployed template; empty if it is new.
        new: Its definition in the new template; empty if it goes.
        properties: Names of the properties that change, also because what they refer to is replaced.
    """

    stack: str
    logical_id: str
    kind: str
    old: Template
    new: Template
    properties: list[str] = field(default_factory=list)

    @property
    def type(self) -> str:
        """Its CloudFormation type."""
        kind: str = (self.new or self.old)["Type"]
        return kind

    @property
    def is_kept(self) -> bool:
        """Whether what goes, or is replaced, stays in the account."""
        policy = "UpdateReplacePolicy" if self.kind == "replaced" else "DeletionPolicy"
        return str(self.old.get(policy, "")).startswith("Retain")


@lru_cache(maxsize=1)
def _reference() -> dict[str, dict[str, str]]:
    """The properties of each resource type whose change may replace the resource."""
    with gzip.open(REFERENCE) as file:
        entities = json.load(file)["schema"]["resource"]["entities"]
    return {
        entity["cloudFormationType"]: {
            name: value["causesReplacement"]
            for name, value in entity["properties"].items()
            if value.get("causesReplacement")
        }
        for entity in entities
    }


def compare(stack: str, old: Template, new: Template, replaced_before: set[str]) -> list[Change]:
    """
    What a deploy does to the resources of one stack.

    Args:
        old: The deployed template.
        new: The template that would be deployed.
        replaced_before: Names of exports whose values change with stacks deployed before; this stack's are added.
    """
    before, after = old.get("Resources", {}), new.get("Resources", {})
    changes = {
        name: Change(stack, name, "new" if name not in before else "gone", before.get(name, {}), after.get(name, {}))
        for name in (*after, *before)
        if (name in before) != (name in after)
    }
    replaced: set[str] = set()
    while True:
        found = {
            name: change
            for name in after.keys() & before.keys()
            if (change := _change(stack, name, (before[name], after[name]), replaced | replaced_before))
        }
        more = {name for name, change in found.items() if change.kind == "replaced"}
        if more == replaced:
            break
        replaced = more
    for output in new.get("Outputs", {}).values():
        if "Export" in output and _refers(output["Value"], replaced):
            replaced_before.add(json.dumps(output["Export"]["Name"]))
    return [*changes.values(), *(found[name] for name in after if name in found)]


def _change(stack: str, name: str, definitions: tuple[Template, Template], replaced: set[str]) -> Change | None:
    old, new = definitions
    if old["Type"] != new["Type"]:
        return Change(stack, name, "replaced", old, new, ["Type"])
    before, after = old.get("Properties", {}), new.get("Properties", {})
    properties = [
        key for key in {**before, **after} if before.get(key) != after.get(key) or _refers(after.get(key), replaced)
    ]
    if not properties:
        return None
    effects = {_reference().get(new["Type"], {}).get(key, "") for key in properties}
    return Change(stack, name, "replaced" if "yes" in effects else "changed", old, new, properties)


def _refers(value: Any, names: set[str]) -> bool:
    """Whether a value holds a reference to one of these resources or exports."""
    if isinstance(value, list):
        return any(_refers(each, names) for each in value)
    if not isinstance(value, dict):
        return False
    reference = value.get("Ref") or (value.get("Fn::GetAtt") or [""])[0]
    if reference in names or ("Fn::ImportValue" in value and json.dumps(value["Fn::ImportValue"]) in names):
        return True
    return any(_refers(each, names) for each in value.values())
