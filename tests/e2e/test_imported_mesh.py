"""A mesh file that ``meshcert import`` wrote, as ``make demo MESH=FILE`` takes it."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from rich.console import Console

from local.cdk import ROOT
from local.demo.proof import PairsCounted, Proof
from local.demo.stage import Stage
from local.running_aws import LocalAws
from meshcert.cli.__main__ import main
from tests.e2e.deploying import ThroughTheApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.demo.proof import ProofResult

DEFINITIONS = ROOT / "examples" / "app-mesh" / "front.template"
REST = "weighted_targets: [{virtual_node: blue, weight: %d}, {virtual_node: green, weight: %d}]"
"""The targets of the route that takes what no other does, as the imported file has them."""
CALLS = 100
CALLS_EVERY_S = 0.05
WITHIN_S = 60.0


class Proven(NamedTuple):
    """
    The imported mesh, proven, and still running.

    Args:
        printed: What the demo has printed.
    """

    aws: LocalAws
    proof: Proof
    result: ProofResult
    printed: str


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proven]:
    """The definitions imported, deployed and proven, with 5 per cent of the calls to green."""
    folder = tmp_path_factory.mktemp("imported")
    file = folder / "front.yaml"
    assert main(["import", str(DEFINITIONS), "--no-default-retries", "--output", str(file)]) == 0
    file.write_text(_with_green(file.read_text(), 10, 5))
    printed = io.StringIO()
    stage = Stage(started=time.time(), console=Console(file=printed, width=160))

    with LocalAws(folder / "aws", certificates=Proof.TIMES) as aws:
        work = folder / "work"
        work.mkdir()
        proof = Proof(stage, aws, work, file)
        proof.cdk = ThroughTheApi(aws.environment(), aws=aws)
        yield Proven(aws, proof, proof.play(), printed.getvalue())


@pytest.mark.timeout(900)
def test_what_app_mesh_had_runs_as_it_was_imported(proven: Proven) -> None:
    """
    Nobody has touched the file but for a weight, and every pair that the definitions declare talks.

    In App Mesh any certificate of a listener's CA was let in if nobody listed names: so are some here, and are told.
    """
    pairs = proven.result.pairs

    assert proven.result.proven, proven.printed
    assert (pairs.declared, pairs.talk) == (3, 3)
    assert pairs == PairsCounted(3, 3, undeclared=6, refused=0, trusted_undeclared=6)
    assert (proven.result.failed, proven.result.twice, proven.result.renewed) == (0, 0, 4)


def _with_green(text: str, share: int, other: int) -> str:
    """A mesh file's text, with another share of the calls for green."""
    before, after = (REST % (100 - each, each) for each in (share, other))
    assert text.count(before) == 1
    return text.replace(before, after)
