"""Whoever has deployed the version before deploys this one over it, and goes back: no request fails."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.version_before import unpack
from local.aws.replacing_properties import REPLACING
from local.cdk import CdkCli
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.demo.story import Story
from local.gateway_client import Gateway, SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, task_address, wait_until
from local.ticking import Ticking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICES = [GATEWAY, TELLER]
LIFE = re.compile(r"(?<=max_connection_duration_s: )\d+")
PAUSE_S = 0.05
"""Between two requests: without it, asking alone takes a core for minutes."""
ENOUGH_REQUESTS = 500
LONGER_THAN_A_LEASE_S = 180
"""The local AWS ends a run whose function's code changes, which AWS does not; its lease of 135 s runs out first."""
TIMES = ("startedAt", "stoppingAt", "stoppedAt", "stoppedReason")
WITHOUT_STATE = {"AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress", "AWS::IAM::Policy"}
"""Types of resources that an upgrade may take away: what they allow, another resource allows then."""


@dataclass(frozen=True)
class Versions:
    """
    The example mesh with mutual TLS, synthesised by two versions of meshcert.

    Args:
        before: The cloud assembly of the version before.
        now: That of this one.
    """

    before: Path
    now: Path


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with certificates that ACM is about to renew."""
    with LocalAws(tmp_path_factory.mktemp("aws"), certificates=Story.TIMES) as running:
        yield running


@pytest.fixture(scope="module")
def versions(aws: LocalAws, color_assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Each version's app reads the mesh file of its own examples."""
    folder = tmp_path_factory.mktemp("versions")
    tree = unpack(folder / "tree")
    before = CdkCli(aws.environment(), app=tree).synth(_with_lasting_connections(tree, folder), folder / "before")
    return Versions(before, color_assembly)


def _with_lasting_connections(tree: Path, folder: Path) -> Path:
    """
    Write the example of the version before with this version's life of connections.

    Its connections end after two seconds. A busy machine may take as long for a handshake and a request, and then the
    gateway is right to close the connection (RFC 9112 section 9.5).
    """
    (life,) = set(LIFE.findall(MUTUAL.read_text()))
    text, changed = LIFE.subn(life, (tree / "examples" / "color" / MUTUAL.name).read_text())
    assert changed == len(SERVICES)
    path = folder / "before.yaml"
    path.write_text(text)
    return path


def test_no_resource_is_replaced_but_task_definitions_and_none_goes(versions: Versions) -> None:
    """
    A deploy changes in place, adds, or starts new tasks.

    Logical ids of task definitions stay; ECS keeps every revision, so replacing one means new tasks and nothing else.
    """
    before, now = (_resources(assembly) for assembly in (versions.before, versions.now))
    kept = before.keys() & now.keys()

    gone = {before[name]["Type"] for name in before.keys() - now.keys()}
    replaced = {before[name]["Type"] for name in kept if _replaced_properties(before[name], now[name])}

    assert gone <= WITHOUT_STATE
    assert replaced <= {"AWS::ECS::TaskDefinition"}


@pytest.mark.timeout(900)
def test_a_deployed_mesh_goes_to_this_version_and_back_and_nobody_notices(aws: LocalAws, versions: Versions) -> None:
    """Under load: the version before, this one, a renewal, the version before again. Each reads the other's rows."""
    mesh = RunningMesh(aws, "color", aws.resolve)
    aws.deploy(versions.before)
    mesh.wait_until_steady(SERVICES)
    gateway = Gateway(
        mesh.gateway_address(GATEWAY), 8443, f"{GATEWAY}.mtls.svc.cluster.local", mesh.trust_bundle(GATEWAY)
    )
    with gateway.client() as client:
        wait_until(lambda: gateway.said(gateway.ask(client)) == ANSWER, "a teller that the gateway knows", within_s=60)
    with SteadyClient(gateway, ANSWER, aws.requests_seen, PAUSE_S) as asking:
        _wait_until_proven(mesh)

        _deploy_over(mesh, versions.now)
        published = {name: mesh.current_version(name) for name in SERVICES}
        aws.control("POST", "/_local/acm/day")
        with _ticking(mesh):
            for name, version in published.items():
                wait_until(partial(_has_left, mesh, name, version), f"{name} renewed", within_s=60)
        _wait_until_proven(mesh)

        _deploy_over(mesh, versions.before)
        wait_until(lambda: asking.requests > ENOUGH_REQUESTS, "requests enough to judge by", within_s=60)

    assert asking.failures == [], _lives_of_tasks(mesh)


def _resources(assembly: Path) -> dict[str, dict[str, Any]]:
    """Every resource of every stack, named STACK/LOGICAL-ID."""
    return {
        f"{file.name}/{logical_id}": resource
        for file in assembly.glob("*.template.json")
        for logical_id, resource in json.loads(file.read_text())["Resources"].items()
    }


def _replaced_properties(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The properties whose change makes CloudFormation replace the resource."""
    return [
        name
        for name in REPLACING.get(before["Type"], ())
        if before.get("Properties", {}).get(name) != now.get("Properties", {}).get(name)
    ]


def _deploy_over(mesh: RunningMesh, assembly: Path) -> None:
    """Deploy another version; every task is a new one afterwards, and what it serves is proven."""
    before = _tasks(mesh)
    mesh.aws.deploy(assembly)
    mesh.wait_until_steady(SERVICES)
    assert before.isdisjoint(_tasks(mesh))
    _wait_until_proven(mesh)


def _tasks(mesh: RunningMesh) -> set[str]:
    return {task.arn for service in SERVICES for task in mesh.tasks(service)}


def _lives_of_tasks(mesh: RunningMesh) -> list[str]:
    """When each task came and went, and why: beside the time of a failure it tells the cause."""
    return [
        " ".join([service, task_address(task), *(f"{name}={task.get(name)}" for name in TIMES)])
        for service in SERVICES
        for desired in ("RUNNING", "STOPPED")
        for task in mesh.described(service, desired)
    ]


def _ticking(mesh: RunningMesh) -> Ticking:
    """Not during a deploy: the fewer looks there are, the fewer it ends."""
    return Ticking(mesh.aws, mesh.name, sweep_every_s=4)


def _wait_until_proven(mesh: RunningMesh) -> None:
    with _ticking(mesh):
        for name in SERVICES:
            proven = partial(_is_proven, mesh, name)
            wait_until(proven, f"{name} served and proven", within_s=LONGER_THAN_A_LEASE_S)


def _has_left(mesh: RunningMesh, identity: str, version: str) -> bool:
    return mesh.current_version(identity) != version


def _is_proven(mesh: RunningMesh, identity: str) -> bool:
    return bool(mesh.proven_version(identity)) and mesh.served_by_all(identity) == {mesh.serial(identity)}
