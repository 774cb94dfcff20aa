"""Fixtures that every kind of test may use."""

from __future__ import annotations

import functools
import logging
import os
import resource
import time
from typing import TYPE_CHECKING

import boto3
import botocore.session
import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from evidence.fixtures.pki import Hierarchy
from local.aws.config import KIND
from local.aws.fargate.containers import cpu_quota
from local.cdk import NO_RULES
from local.running_aws import LocalAws
from tests.e2e.shared_meshes import ON_A_FRESH_MESH, ON_PRIVATE_CA, ON_THE_DEMO
from tests.meshcert.publishing.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer

    from local.aws.config import CertificateTimes
    from meshcert.material import Material


_BEGAN = time.time()
# Before anybody imports the CDK, which starts its node: test_nag.py asks for the rules by itself.
os.environ.update(NO_RULES)

# What takes minutes begins first: else one process alone would still be at it when the others have done all the rest.
LONGEST_FIRST = (
    "tests/e2e/test_demo.py",
    "tests/e2e/test_upgrade.py",
    "tests/e2e/",
    "tests/stacks/",
    "tests/local/aws/fargate/",
    "tests/envoy/",
    "tests/tools/",
    "tests/local/",
    "tests/meshcert/cli/",
    "tests/meshcert/aws/",
    "tests/evidence/",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first; each file's tests, and files of one kind, as they stand."""
    items.sort(
        key=lambda item: next((at for at, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start)), 99)
    )


class OneProcessForWhatIsShared(LoadScopeScheduling):  # type: ignore[misc] # xdist is untyped
    """Tests of a file share a local AWS, tests/stacks a synthesis, tests/e2e one of three meshes: together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder, _, name = file.rpartition("/")
        if folder == "tests/stacks":
            return folder
        if folder != "tests/e2e":
            return file
        shared = {
            ON_THE_DEMO: f"{folder}, the demo",
            ON_A_FRESH_MESH: f"{folder}, a fresh mesh",
            ON_PRIVATE_CA: f"{folder}, Private CA",
        }
        return next((scope for files, scope in shared.items() if name in files), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneProcessForWhatIsShared:
    """How ``make test`` divides the tests between its processes."""
    return OneProcessForWhatIsShared(config, log)


def pytest_report_header() -> str:
    """Whether tests that ask for it see a task's share of CPU enforced."""
    why = cpu_quota.refusal()
    return f"CPU shares of local tasks: {'not enforced, ' + why if why else 'enforced where a test asks for it'}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long it took, and how much CPU time: of this process, its workers, and all that they started and awaited."""
    if hasattr(terminalreporter.config, "workerinput"):
        return
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
    took_s = time.time() - _BEGAN
    terminalreporter.write_line(f"took {took_s:.0f} s, CPU time {cpu_s:.0f} s on {os.cpu_count()} CPUs")


@pytest.fixture(autouse=True)
def clean_environ() -> Iterator[None]:
    """No test leaves a trace in the environment, nor in the session that boto3 made of it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    boto3.DEFAULT_SESSION = None


@pytest.fixture(autouse=True)
def logs_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core's log reaches pytest, also when an earlier test of this process has imported a handler."""
    core = logging.getLogger("meshcert")
    monkeypatch.setattr(core, "propagate", True)


@pytest.fixture
def hierarchy() -> Hierarchy:
    """A root CA and its issuing CA."""
    return Hierarchy(tiers=2)


@pytest.fixture
def material(hierarchy: Hierarchy) -> Material:
    """What ACM exports for the teller, without a fault."""
    return hierarchy.issue(["colorteller.mtls.svc.cluster.local"])


@pytest.fixture
def world() -> World:
    """One mesh in memory, before the export function has ever run."""
    return World()


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Iterator[None]:
    """AWS's service models are parsed once for a process: a fifth of a second of a core for each test otherwise."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with AWS's times, for one module after the other: starting one takes three seconds of a core."""
    # Kind: nobody calls tasks here. Whoever tries what becomes of calls has one of its own.
    with LocalAws(tmp_path_factory.mktemp("aws"), traffic=KIND) as running:
        yield running


@pytest.fixture(scope="module")
def aws(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A kind local AWS with nothing in it; a module that sets TIMES gets one of its own, with these times."""
    times: CertificateTimes | None = getattr(request.module, "TIMES", None)
    if times is None:
        shared: LocalAws = request.getfixturevalue("local_aws")
        shared.reset()
        yield shared
        return
    with LocalAws(tmp_path_factory.mktemp("aws"), certificates=times, traffic=KIND) as running:
        yield running


@pytest.fixture
def fresh_aws(aws: LocalAws) -> LocalAws:
    """The module's local AWS with nothing in it."""
    aws.reset()
    return aws
