"""What a deploy changes in the templates of a mesh that the version before has deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.version_before import unpack
from local.aws.replacing_properties import REPLACING
from tests.stacks.synthesis import CONTEXT, ROOT

if TYPE_CHECKING:
    from pathlib import Path

ADDED = "(added)"
_ASSET_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class Change:
    """
    A kind of difference between the templates of both versions.

    Args:
        stack: Its last word: ``pki``, ``identities``, ``services`` or ``renewal``.
        kind: CloudFormation type of the resource.
        what: The property, ``DependsOn`` or another attribute, or ``(added)``.
    """

    stack: str
    kind: str
    what: str


NEW_TASKS = {"AWS::ECS::TaskDefinition"}
"""Replaced by every deploy that brings another image: a revision is never changed."""
# Every difference, and what a deployed mesh sees of it: the CHANGELOG says so.
CHANGES = {
    Change("renewal", "AWS::Events::Rule", "EventPattern"): "ECS events of other clusters no longer come",
    Change("services", "AWS::ECS::Cluster", "ClusterSettings"): "Container Insights is off unless it is asked for",
    Change("services", "AWS::IAM::Role", "AssumeRolePolicyDocument"): "tasks' roles are for ECS in this account alone",
    Change("services", "AWS::EC2::VPCEndpoint", ADDED): "S3 and DynamoDB are reached beside the NAT gateway",
    Change("services", "AWS::ECS::Service", "DependsOn"): "a new service waits for these endpoints",
    Change("services", "AWS::ServiceDiscovery::Service", "DependsOn"): "the same",
}


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> set[Change]:
    """The differences for the example mesh with mutual TLS, which both versions have; hashes of assets left out."""
    folder = tmp_path_factory.mktemp("versions")
    before = _templates(unpack(folder / "tree"), folder / "before")
    now = _templates(ROOT, folder / "now")
    assert set(before) == set(now)
    return {change for stack in now for change in _changes(stack, before[stack], now[stack])}


def test_every_change_is_told(changes: set[Change]) -> None:
    """And everything that is told is true."""
    assert sorted(changes) == sorted(CHANGES)


def test_no_change_replaces_a_resource_or_takes_one_away(changes: set[Change]) -> None:
    """Another resource would have another address for a while, or a name that is taken."""
    replaced = {change for change in changes if change.what in REPLACING.get(change.kind, ())}

    assert {change.kind for change in replaced} <= NEW_TASKS


def _templates(tree: Path, out: Path) -> dict[str, dict[str, Any]]:
    """The templates by stack that a version's app makes of the mesh file of its own examples."""
    context = CONTEXT | {"mesh": str(tree / "examples" / "color" / "mutual.yaml")}
    environment = {**os.environ, "CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps(context)}
    subprocess.run([sys.executable, "app.py"], cwd=tree, env=environment | {"PYTHONPATH": str(tree)}, check=True)
    return {
        file.name.removesuffix(".template.json").rpartition("-")[2]: json.loads(
            _ASSET_HASH.sub("HASH", file.read_text())
        )
        for file in out.glob("*.template.json")
    }


def _changes(stack: str, before: dict[str, Any], now: dict[str, Any]) -> set[Change]:
    old, new = before["Resources"], now["Resources"]
    assert set(old) <= set(new), "a resource is taken away"
    found = {Change(stack, new[name]["Type"], ADDED) for name in set(new) - set(old)}
    for name in old:
        kind = new[name]["Type"]
        assert old[name]["Type"] == kind
        parts = [(old[name].get("Properties", {}), new[name].get("Properties", {}))]
        parts.append(tuple({**whole[name], "Properties": None, "Metadata": None} for whole in (old, new)))
        for one, other in parts:
            found |= {Change(stack, kind, key) for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return found
