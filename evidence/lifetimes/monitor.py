"""Looks at every identity again and again, from outside: ACM, the secret, the Envoys, the table."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509

from evidence.lifetimes.verdict import Certificate, Sample
from local.running_mesh import RunningMesh
from meshcert import naming
from meshcert.contract.container import ADMIN_PORT
from meshcert.contract.staging_labels import CURRENT, LAST_GOOD
from meshcert.material import certificate_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.running_aws import LocalAws

_VERSION_LENGTH = 64
CALLS_AT_ONCE = 8
"""One call after the other, a round waits behind everybody else's calls as often as it has calls."""


class Monitor:
    """
    Samples of every identity, taken while its ``with`` block runs.

    Args:
        aws: The local AWS.
        mesh: Name of the mesh.
        certificates: ARN of each identity's ACM certificate.
        every_s: Pause between two rounds, seconds.
    """

    def __init__(self, aws: LocalAws, mesh: str, certificates: Mapping[str, str], every_s: float = 0.4) -> None:
        # Clients of its own: boto3's are shared between threads only by those who read the small print.
        self._mesh = RunningMesh(aws, mesh, aws.resolve)
        self._certificates = certificates
        self._every_s = every_s
        self._envoys = httpx.Client(timeout=2)
        # Made here, because only calls of a client may be shared between threads (boto3 guide, "Clients").
        for service in ("secretsmanager", "acm"):
            self._mesh.client(service)
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="monitor")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="monitor")
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.errors: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pool.shutdown()
        self._envoys.close()

    def latest(self, identity: str) -> Sample | None:
        """The last sample of an identity; None before the first."""
        samples = self.samples[identity]
        return samples[-1] if samples else None

    def look(self) -> None:
        """One round: a sample of every identity."""
        idle = self._idle()
        served = self._served()

        def sample(identity: str) -> Sample:
            """One identity, asked beside the others."""
            labels = self._labels(identity)
            issued, version = self._issued(self._certificates[identity])
            return Sample(
                at=time.time(),
                issued=issued,
                version=version,
                current=labels.get(CURRENT, ""),
                last_good=labels.get(LAST_GOOD, ""),
                served=served.get(identity, ()),
                idle=idle.get(identity, False),
            )

        for identity, seen in zip(self._certificates, self._pool.map(sample, self._certificates), strict=True):
            self.samples[identity].append(seen)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.look()
            except (ClientError, BotoCoreError) as error:
                # The gap shows: the verdict counts how long nobody looked.
                self.errors[type(error).__name__] += 1

    def _idle(self) -> dict[str, bool]:
        table = naming.lifecycle_table(self._mesh.name)
        rows = self._mesh.client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
        return {row["name"]["S"]: row.get("unsettled") != {"S": "yes"} for row in rows}

    def _labels(self, identity: str) -> dict[str, str]:
        """The published version with each label."""
        secret = naming.identity_secret(self._mesh.name, identity)
        stages = self._mesh.client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
        return {
            label: version for version, labels in stages.items() for label in labels if len(version) == _VERSION_LENGTH
        }

    def _issued(self, arn: str) -> tuple[Certificate, str]:
        """The certificate that ACM holds, and the name of the version that holds it."""
        pem = self._mesh.client("acm").get_certificate(CertificateArn=arn)["Certificate"]
        leaf = x509.load_pem_x509_certificate(pem.encode())
        return Certificate(f"{leaf.serial_number:x}", leaf.not_valid_after_utc.timestamp()), certificate_version(pem)

    def _served(self) -> dict[str, tuple[Certificate, ...] | None]:
        """The certificates that each service's running Envoys serve."""
        ecs, cluster = self._mesh.client("ecs"), naming.cluster(self._mesh.name)
        try:
            arns = ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"]
        except ecs.exceptions.ClusterNotFoundException:
            return {}
        tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
        found: dict[str, tuple[Certificate, ...] | None] = {}
        for task in tasks:
            service = task["group"].removeprefix("service:")
            before = found.get(service, ())
            if task["lastStatus"] != "RUNNING":
                continue
            certificates = self._ask(_address(task))
            found[service] = None if before is None or certificates is None else (*before, *certificates)
        return found

    def _ask(self, address: str) -> tuple[Certificate, ...] | None:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = self._envoys.get(f"http://{address}:{ADMIN_PORT}/certs").raise_for_status()
            return tuple(_leaves(answer.json()["certificates"]))
        return None


def _leaves(certificates: Iterable[Mapping[str, Any]]) -> Iterable[Certificate]:
    for certificate in certificates:
        for leaf in certificate.get("cert_chain", [])[:1]:
            serial = leaf["serial_number"].lower().lstrip("0")
            yield Certificate(serial, dt.datetime.fromisoformat(leaf["expiration_time"]).timestamp())


def _address(task: Mapping[str, Any]) -> str:
    details = (detail for attachment in task["attachments"] for detail in attachment["details"])
    return next((str(detail["value"]) for detail in details if detail["name"] == "privateIPv4Address"), "")
