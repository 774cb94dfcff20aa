"""A mesh whose certificates AWS Private CA issues, on a local AWS of its own, once a whole life has passed in it."""

from __future__ import annotations

import datetime as dt
import io
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import yaml
from rich.console import Console

from local.cdk import ROOT
from local.demo.lives import let_rows_expire
from local.demo.proof import Proof, ProofResult
from local.demo.stage import Stage
from local.running_aws import LocalAws
from local.running_mesh import wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.aws.queues.orders import OrdersQueue
from meshcert.issuing.private_ca_lives import BACK_DATING
from meshcert.lifecycle.memory import RENEW
from meshcert.material.certificate_facts import certificate_facts
from tests.e2e.deploying import ThroughTheApi
from tests.e2e.terminal import OperatorTerminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.running_mesh import RunningMesh
    from meshcert.mesh import Mesh

LIFE_S = 120.0
"""Long enough that a busy machine issues, publishes and serves the next one within the last third."""

LONGER_LIFE_S = 900.0
"""Afterwards: no certificate is due before half of this."""
LIFE_OF_THE_FILE = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class LivedMesh:
    """
    A mesh that still runs, and whose certificates are not due for minutes.

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
            _live_longer(proof)
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


def _live_longer(proof: Proof) -> None:
    """Another certificate for everybody, of a life that is longer than the tests: nothing is due meanwhile."""
    running, identities = proof.running, list(proof.mesh.identities)
    factor = LONGER_LIFE_S / LIFE_OF_THE_FILE.total_seconds()
    before = {name: running.current_version(name) for name in identities}
    orders = OrdersQueue(running.client("sqs"), naming.queue(running.name, "orders"))

    def old_enough() -> bool:
        # The export function takes the certificate that begins later for the newer one.
        begins = dt.datetime.now(dt.UTC) - BACK_DATING * factor
        facts = (certificate_facts(running.material(name).certificate) for name in identities)
        return all(fact.not_before < begins - SECOND for fact in facts)

    def longer() -> bool:
        return all(running.proven_version(name) not in {"", before[name]} for name in identities)

    wait_until(old_enough, "certificates that begin before the next ones", within_s=60, every_s=0.5)
    proof.aws.control("PUT", "/_local/acm-pca/lives", {"factor": factor})
    # A life has used up a good part of what may be issued in a day.
    let_rows_expire(proof, 0)
    with Ticking(proof.aws, running.name):
        for name in identities:
            orders.send(RENEW, name, "a longer life")
        wait_until(longer, "longer lives", within_s=120, every_s=0.5)


def _without_stores() -> dict[str, Any]:
    """examples/spiffe.yaml with its services of HTTP alone, whose applications are stand-ins."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "spiffe.yaml").read_text())
    for name in ("redis", "postgres"):
        for part in ("identities", "virtual_nodes", "services"):
            del values[part][name]
    del values["virtual_nodes"]["appserver"]["backends"]
    for name in ("ui", "appserver"):
        values["services"][name]["application"]["image"] = f"registry.example.com/{name}:1"
    values["services"]["appserver"]["desired_count"] = 1
    return values
