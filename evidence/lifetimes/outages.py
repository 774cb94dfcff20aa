"""Outages of AWS, made on purpose: each passing trouble fills a part of every lifetime of its identities."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from evidence.lifetimes.subjects import Trouble, fault_rules
from evidence.lifetimes.verdict import Outage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evidence.lifetimes.monitor import Monitor
    from evidence.lifetimes.scale import Scale
    from evidence.lifetimes.subjects import Subject
    from local.running_aws import LocalAws

_LOOK_EVERY_S = 0.1
_MAY_RENEW = ["IssueCertificate", "GetCertificate", "ListPermissions"]
_ACM = "acm.amazonaws.com"


@dataclass(frozen=True)
class Deployed:
    """
    A deployed mesh, as far as outages need to know it.

    Args:
        aws: The local AWS.
        mesh: Name of the mesh.
        certificates: ARN of each identity's ACM certificate.
        authorities: ARN of the CA that signs each identity's certificate.
    """

    aws: LocalAws
    mesh: str
    certificates: dict[str, str]
    authorities: dict[str, str]


class Outages:
    """
    Begins and ends outages while its ``with`` block runs; the last one is over when it ends.

    Args:
        deployed: The mesh that they hit.
        subjects: Its identities.
        scale: How fast time goes.
        monitor: Knows how old the certificates are.
    """

    def __init__(self, deployed: Deployed, subjects: Sequence[Subject], scale: Scale, monitor: Monitor) -> None:
        self._deployed = deployed
        self._lasts = {subject: lasts for subject in subjects if (lasts := subject.trouble.lasts)}
        self._scale = scale
        self._monitor = monitor
        self._pca = deployed.aws.client("acm-pca")
        self._under_way: dict[str, Outage] = {}
        self._met: set[str] = set()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="outages")
        self.over: dict[str, list[Outage]] = defaultdict(list)
        """Outages that are over, by identity."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for subject in self._lasts:
            self._end(subject)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(_LOOK_EVERY_S):
                for subject in self._lasts:
                    self._turn(subject)
        except BaseException as error:  # noqa: BLE001 -- carried over to the thread that joins
            self._error = error

    def _turn(self, subject: Subject) -> None:
        sample = self._monitor.latest(subject.name)
        if sample is None:
            return
        now = time.time()
        under_way = self._under_way.get(subject.name)
        if under_way:
            if now >= under_way.ended:
                self._end(subject)
            return
        # The one that is published counts: a renewal must not end the trouble that it is to meet.
        born = sample.issued.not_after - self._scale.lifetime_s
        began, ended = (born + part * self._scale.lifetime_s for part in self._lasts[subject])
        if sample.issued.serial not in self._met and began <= now < ended:
            self._met.add(sample.issued.serial)
            self._begin(subject, Outage(now, ended))

    def _begin(self, subject: Subject, outage: Outage) -> None:
        self._under_way[subject.name] = outage
        if subject.trouble is Trouble.NO_PERMISSION:
            arn = self._deployed.authorities[subject.name]
            self._pca.delete_permission(CertificateAuthorityArn=arn, Principal=_ACM)
        self._break()

    def _end(self, subject: Subject) -> None:
        outage = self._under_way.pop(subject.name, None)
        if outage is None:
            return
        if subject.trouble is Trouble.NO_PERMISSION:
            arn = self._deployed.authorities[subject.name]
            self._pca.create_permission(CertificateAuthorityArn=arn, Principal=_ACM, Actions=_MAY_RENEW)
        self._break()
        self.over[subject.name].append(replace(outage, ended=time.time()))

    def _break(self) -> None:
        """Have AWS fail those whose outage is under way, and nobody else."""
        deployed = self._deployed
        rules: list[dict[str, Any]] = [
            rule
            for subject in self._lasts
            if subject.name in self._under_way
            for rule in fault_rules(deployed.mesh, deployed.aws.region, subject, deployed.certificates[subject.name])
        ]
        deployed.aws.control("PUT", "/_local/faults", rules)
