"""A mesh whose certificates AWS Private CA issues, on a local AWS of its own, once a whole life has passed in it."""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import yaml
from rich.console import Console

from evidence.fixtures.terminal import OperatorTerminal
from local.cdk import ROOT
from local.demo.proof import Proof, ProofResult
from local.demo.stage import Stage
from local.running_aws import LocalAws
from local.running_mesh import wait_until
from meshcert import naming
from tests.e2e.deploying import ThroughTheApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.running_mesh import RunningMesh
    from meshcert.mesh import Mesh

LIFE_S = 120.0
"""Long enough that a busy machine issues, publishes and serves the next one within the last third."""

QUIET_S = 5.0
"""An export that has begun takes less."""


@dataclass(frozen=True)
class LivedMesh:
    """
    A mesh that still runs, and in which nothing is renewed any more.

    Args:
        aws: Its local AWS.
        declared: The mesh file.
        running: The deployed mesh.
        result: What the proof measured.
        printed: Everything that the proof has printed.
    """

    aws: LocalAws
    declared: Mesh
    running: RunningMesh
    result: ProofResult
    printed: str

    @classmethod
    @contextmanager
    def after_a_life(cls, folder: Path) -> Iterator[Self]:
        """
        Deploy it, prove it, let a life pass.

        Args:
            folder: For its files.
        """
        file, printed = folder / "spiffe.yaml", io.StringIO()
        file.write_text(yaml.safe_dump(_without_stores()))
        (folder / "prepared").mkdir()
        stage = Stage(started=time.time(), console=Console(file=printed, width=160))
        with LocalAws(folder / "aws", certificates=Proof.TIMES) as aws:
            proof = Proof(stage, aws, folder / "prepared", file, lives=1, life_s=LIFE_S)
            proof.cdk = ThroughTheApi(aws.environment(), aws=aws)
            result = proof.play()
            _halt(proof)
            yield cls(aws, proof.mesh, proof.running, result, printed.getvalue())

    @property
    def operator(self) -> OperatorTerminal:
        """Runs ``meshcert`` as an operator."""
        return OperatorTerminal(self.aws, self.declared.name)

    def issued(self) -> int:
        """How many certificates of workloads its CA has issued, which is what AWS bills."""
        (counted,) = self.aws.control("GET", "/_local/acm-pca/issued").values()
        return int(counted["issued"])

    def row(self, identity: str) -> dict[str, Any]:
        """An identity's row, as DynamoDB has it."""
        table, key = naming.identities_table(self.declared.name), {"name": {"S": identity}}
        item = self.running.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
        return dict(item)


def _halt(proof: Proof) -> None:
    """Let neither clock nor event have anything done any more, and wait until what is under way has ended."""
    name, region = proof.mesh.name, proof.aws.region
    halted = {"renewal": naming.RENEWAL_ROLE, "dispatch": naming.DISPATCH_ROLE}
    rules = [
        # The functions' own sessions: whoever else is in these roles goes on.
        {"kind": "throttle", "role": f"{naming.role(name, region, role)}/{naming.function(name, function)}"}
        for function, role in halted.items()
    ]
    proof.aws.control("PUT", "/_local/faults", rules)
    counted, since = None, time.monotonic()

    def quiet() -> bool:
        nonlocal counted, since
        now = proof.aws.control("GET", "/_local/acm-pca/issued")
        if now != counted:
            counted, since = now, time.monotonic()
        return time.monotonic() - since > QUIET_S

    wait_until(quiet, "nothing under way", within_s=60, every_s=0.5)


def _without_stores() -> dict[str, Any]:
    """examples/spiffe.yaml with its services of HTTP alone, whose applications are stand-ins."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "spiffe.yaml").read_text())
    for name in ("redis", "postgres"):
        for part in ("identities", "virtual_nodes", "services"):
            del values[part][name]
    del values["virtual_nodes"]["appserver"]["backends"]
    values["hierarchies"]["yelb"] |= {"revocation": "crl", "stale_lists": "fail_closed"}
    for name in ("ui", "appserver"):
        values["services"][name]["application"]["image"] = f"registry.example.com/{name}:1"
    values["services"]["appserver"]["desired_count"] = 1
    return values
