"""
Three meshes for most end-to-end tests, each deployed once and left running for them to look at.

One is the README's demo, played to its end. Another has just been deployed: nothing has been renewed there yet. In the
third, AWS Private CA issues the certificates, and a whole life of them has passed.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.audit import audit
from evidence.fixtures.terminal import OperatorTerminal
from local.cdk import CdkCli
from local.demo.scene import GATEWAY, MUTUAL, TELLER
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.contract.environment import LEASE_S, POLICY_PREFIX
from meshcert.lifecycle.policy import Policy
from meshcert.mesh import load_mesh
from tests.e2e.demo_command import DemoCommand
from tests.e2e.deploying import synthesised_once
from tests.e2e.lived_mesh import LivedMesh
from tests.e2e.shared_meshes import ON_A_FRESH_MESH, ON_PRIVATE_CA, ON_THE_DEMO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.demo.result import DemoResult

IN_HASTE = Policy(look_again_s=1.0, shortest_between_renewals_s=0.0)
"""What the demo's renewal function goes by once the demo, which has AWS's times, is over."""
SHORT_LEASE_S = "20"
"""Seconds until another run may take over from one that was ended; more than any look takes."""
SHARED = (ON_THE_DEMO, ON_A_FRESH_MESH, ON_PRIVATE_CA)
_RUNNING = pytest.StashKey[ExitStack]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those who share a mesh come one after the other, in their order, where the first of them stands."""
    for order in SHARED:
        place = next((place for place, item in enumerate(items) if _shares(item, order)), 0)
        shared = sorted((item for item in items if _shares(item, order)), key=lambda item: order.index(item.path.name))
        others = [item for item in items if not _shares(item, order)]
        items[:] = [*others[:place], *shared, *others[place:]]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A mesh ends with the last test that shares it: its tasks would go on polling beside all that comes then."""
    for order in SHARED:
        if _shares(item, order) and not (nextitem and _shares(nextitem, order)):
            item.session.stash.get(_RUNNING, ExitStack()).close()


def _shares(item: pytest.Item, order: tuple[str, ...]) -> bool:
    return item.path.parent.name == "e2e" and item.path.name in order


@dataclass(frozen=True)
class PlayedDemo:
    """
    A demo that has been played and still runs.

    Args:
        aws: Its local AWS.
        cdk: The CDK CLI pointed at it; ``lines`` collects what it prints.
        mesh: The deployed mesh.
        result: What the demo measured.
        folder: For the cloud assemblies of those who deploy over it.
        printed: Everything the command has printed.
        lines: Everything the CDK CLI has printed since, to those who deployed over it.
        began: When it was started, Unix time in seconds.
    """

    aws: LocalAws
    cdk: CdkCli
    mesh: RunningMesh
    result: DemoResult
    folder: Path
    printed: list[str]
    lines: list[str]
    began: float

    @property
    def operator(self) -> OperatorTerminal:
        """Runs ``meshcert`` as an operator who knows how the renewal function has been set."""
        return OperatorTerminal(self.aws, self.mesh.name, **IN_HASTE.to_environ())

    def set_policy(self, policy: Policy) -> None:
        """
        Have the renewal function act on a policy.

        Only while nothing is under way: the local AWS ends a run whose function changes, and its lease stays, and its
        message stays hidden. A tick's look may have begun all the same, so both are short from now on.
        """
        sqs = self.mesh.client("sqs")
        url = sqs.get_queue_url(QueueName=naming.queue(self.mesh.name, "looks"))["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": SHORT_LEASE_S})
        wait_until(lambda: all(map(self.mesh.is_settled, (GATEWAY, TELLER))), "a quiet moment", within_s=60)
        functions, name = self.mesh.client("lambda"), naming.function(self.mesh.name, "renewal")
        before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        variables = {key: value for key, value in before.items() if not key.startswith(POLICY_PREFIX)}
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables | {LEASE_S: SHORT_LEASE_S} | policy.to_environ()}
        )

    def audit(self, identity: str) -> list[dict[str, str]]:
        """The audit log's lines about an identity, the oldest first."""
        return audit(self.mesh, identity)

    def is_proven(self, identity: str) -> bool:
        """Whether what is published is served by every task and is the version to go back to; nothing is left to do."""
        return bool(self.mesh.proven_version(identity))


@pytest.fixture(scope="session")
def color_assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example mesh with mutual TLS."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return synthesised_once(MUTUAL, shared)


@pytest.fixture(scope="session")
def until_last(request: pytest.FixtureRequest) -> Iterator[ExitStack]:
    """Ends with the last test that shares a mesh what the mesh runs on."""
    with ExitStack() as running:
        request.session.stash[_RUNNING] = running
        yield running


@pytest.fixture(scope="session")
def fresh_mesh(color_assembly: Path, until_last: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> RunningMesh:
    """The example mesh on a local AWS of its own, as the deploy has left it: what it has published is proven."""
    aws = until_last.enter_context(LocalAws(tmp_path_factory.mktemp("fresh-mesh")))
    aws.deploy(color_assembly)
    running = RunningMesh(aws, load_mesh(MUTUAL).name, aws.resolve)
    running.wait_until_steady([GATEWAY, TELLER])
    with Ticking(aws, running.name):
        wait_until(lambda: all(map(running.proven_version, (GATEWAY, TELLER))), "both identities proven", within_s=90)
    return running


@pytest.fixture(scope="session")
def demo(until_last: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> PlayedDemo:
    """
    The README's command, played to its end and kept; from then on its lifecycle is in haste.

    Ended as its user ends it, it exits with 0.
    """
    return until_last.enter_context(_played(tmp_path_factory.mktemp("demo")))


@pytest.fixture(scope="session")
def lived(until_last: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> LivedMesh:
    """The mesh of examples/spiffe.yaml without its stores, after a whole life under load."""
    return until_last.enter_context(LivedMesh.after_a_life(tmp_path_factory.mktemp("private-ca")))


@contextmanager
def _played(folder: Path) -> Iterator[PlayedDemo]:
    began = time.time()
    with DemoCommand() as command:
        result = command.wait_until_kept()
        lines: list[str] = []
        aws = LocalAws.run_by_another(command.endpoint, folder / "aws")
        mesh = RunningMesh(aws, load_mesh(MUTUAL).name, aws.resolve)
        cdk = CdkCli(aws.environment(), lines.append)
        played = PlayedDemo(aws, cdk, mesh, result, folder, command.lines, lines, began)
        played.set_policy(IN_HASTE)
        yield played
        assert command.end() == 0, command.output


@pytest.fixture
def as_it_was(demo: PlayedDemo) -> Iterator[None]:
    """Afterwards the teller's versions have the labels, and the identities the rows, that they had before."""
    before = _material(demo)
    yield
    assert _material(demo) == before


def _material(demo: PlayedDemo) -> tuple[dict[str, set[str]], list[Any]]:
    secret = naming.identity_secret(demo.mesh.name, TELLER)
    described = demo.mesh.client("secretsmanager").describe_secret(SecretId=secret)
    labels = {version: set(stages) for version, stages in described["VersionIdsToStages"].items()}
    rows = demo.mesh.client("dynamodb").scan(TableName=naming.identities_table(demo.mesh.name))["Items"]
    return labels, sorted(rows, key=str)
