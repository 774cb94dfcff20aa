"""The configuration of one local AWS, read from JSON on standard input by ``python -m local.aws``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

LEAF_LIFETIME_DAYS = 395


@dataclass(frozen=True)
class CertificateTimes:
    """
    The times by which the local ACM and Private CA date, renew and warn.

    AWS's own figures are the defaults; tests scale them to seconds. All values are seconds unless the name says days.

    Args:
        born_days_ago: Days of ACM's by which the first certificates (not renewals) are dated back; CAs by as many of
            ours and one more.
        leaf_lifetime_s: Lifetime of a private ACM certificate (AWS: 395 days).
        managed_renewal_s: Remaining life from which ACM renews an exported certificate by itself (AWS: 60 days).
        warning_s: Remaining life from which ACM sends ``Approaching Expiration`` (AWS: 45 days).
        back_dating_s: How far NotBefore lies before the time of issue (AWS Private CA: 60 minutes).
        issuing_takes_s: Delay between IssueCertificate's ARN and the certificate; until then GetCertificate answers
            RequestInProgressException (AWS: not published).
        life_scale: Factor of an end entity's life and back-dating, for IssueCertificate's callers: with 1/1440 one asks
            for a day and gets a minute (AWS: 1). At most 1; all checks are made on what was asked for.
        token_s: How long IssueCertificate remembers an idempotency token (AWS: 5 minutes).
        renewal_takes_s: Delay between RenewCertificate's empty answer and the new certificate.
        acm_day_s: How often ACM's daily run comes by the real clock; 0 means only when ``/_local/acm/day`` is told to.
    """

    born_days_ago: float = 0.0
    leaf_lifetime_s: float = LEAF_LIFETIME_DAYS * 86400.0
    managed_renewal_s: float = 60 * 86400.0
    warning_s: float = 45 * 86400.0
    back_dating_s: float = 3600.0
    issuing_takes_s: float = 0.1
    life_scale: float = 1.0
    token_s: float = 300.0
    renewal_takes_s: float = 1.0
    acm_day_s: float = 0.0

    @property
    def day_s(self) -> float:
        """The seconds of one day of ACM's: a leaf always lives for 395 of them. 86,400 with AWS's figures."""
        return self.leaf_lifetime_s / LEAF_LIFETIME_DAYS


@dataclass(frozen=True)
class TrafficBehaviour:
    """
    How callers come to know a task's address, and what becomes of it when the task stops.

    Two behaviours have names: :data:`UNKIND` is AWS's, :data:`KIND` spares callers what AWS does not spare them.

    Args:
        denies_from_the_start: Whether a name without a healthy instance is denied (NXDOMAIN) even before its first one;
            else the query fails (SERVFAIL) until then.
        resolver_keeps_answers: Whether a resolver stands between callers and the zone, and keeps every answer, a denial
            too, for its TTL.
        denial_s: How long a denial may be kept where the namespace does not say it (``DnsProperties.SOA.TTL``).
        registers_running: Whether a task is registered as soon as it runs, and is unhealthy in Cloud Map until its
            container health check passes; else it is registered when it is healthy.
        custom_health_s: Seconds until a custom health status counts.
        serves_on_s: Seconds between a task's deregistration and SIGTERM; None is AWS's: the deregistration delay of its
            target groups, none if it has no target group.
        target_lag_s: Seconds in which a network load balancer still gives new connections to a deregistered target.
        stop_task_waits: Whether StopTask waits those seconds as the service scheduler does; else SIGTERM comes at once.
        scale: Factor of all these times, and of the deregistration delay. What a namespace says is not scaled.
    """

    denies_from_the_start: bool
    resolver_keeps_answers: bool
    denial_s: float
    registers_running: bool
    custom_health_s: float
    serves_on_s: float | None
    target_lag_s: float
    stop_task_waits: bool
    scale: float = 1.0

    def scaled(self, scale: float) -> Self:
        """The same with times that are ``scale`` times AWS's."""
        return replace(self, scale=scale)

    @property
    def denial_ttl(self) -> int:
        """The TTL of a denial where the namespace says none, whole seconds, at least one."""
        return max(1, math.ceil(self.denial_s * self.scale))


KIND = TrafficBehaviour(
    denies_from_the_start=False,
    resolver_keeps_answers=False,
    denial_s=1.0,
    registers_running=False,
    custom_health_s=0.0,
    # About the lifetime of a Cloud Map record and one DNS refresh of an Envoy.
    serves_on_s=2.0,
    target_lag_s=0.0,
    stop_task_waits=True,
)
"""Callers hear of a task when it is healthy, and it serves on until they have forgotten it."""

UNKIND = TrafficBehaviour(
    denies_from_the_start=True,
    resolver_keeps_answers=True,
    denial_s=300.0,
    registers_running=True,
    custom_health_s=30.0,
    serves_on_s=None,
    target_lag_s=120.0,
    stop_task_waits=False,
)
"""
AWS's behaviour.

Sources: aws-app-mesh-roadmap#221 (300 s), ``HealthCheckCustomConfig`` in the Cloud Map API reference (30 s),
containers-roadmap#343 and #1639 (no wait before SIGTERM), aws-load-balancer-controller#2366 (two minutes),
amazon-ecs-agent#2316 (StopTask).
"""

USUAL = UNKIND.scaled(0.1)
"""What the demo, the tests, the benchmarks and the soak run on: AWS's behaviour at a tenth of its times."""


@dataclass(frozen=True)
class Config:
    """
    One local AWS.

    Args:
        directory: Everything it writes lies here (temporary files, logs); removed when it stops.
        images: Folder of the images that the ``docker`` stand-in lays out.
        bundles: Folder in which functions' code lies unpacked, for the next local AWS too.
        host: Loopback address of the API and of DNS; each emulator has its own 127.x/16.
        port: TCP port of the AWS API on ``host``.
        dns_port: UDP port of the DNS server on ``host`` (Cloud Map and load balancer names).
        account: Twelve-digit account id.
        region: Region name.
        function_python: Interpreter for Lambda functions: an environment that holds boto3 and nothing else, as on AWS.
        certificates: The times of ACM and Private CA.
        cpu_quota: Whether a task gets no more than its CPU units, where cgroups permit that.
        other_clusters_tasks_per_s: How many tasks of other clusters begin and end each second, as far as the default
            bus hears of them.
        traffic: How callers come to know a task's address, and what becomes of it when the task stops.
    """

    directory: Path
    images: Path
    bundles: Path
    host: str
    port: int
    dns_port: int
    account: str
    region: str
    function_python: Path
    certificates: CertificateTimes = field(default_factory=CertificateTimes)
    cpu_quota: bool = False
    other_clusters_tasks_per_s: float = 0.0
    traffic: TrafficBehaviour = USUAL

    @property
    def endpoint(self) -> str:
        """The URL that AWS_ENDPOINT_URL names."""
        return f"http://{self.host}:{self.port}"

    @property
    def requests_seen(self) -> Path:
        """The pipe into which applications write the ids of requests (:mod:`local.requests_seen`)."""
        return self.directory / "requests-seen"

    @property
    def network(self) -> str:
        """The first two octets of this emulator's loopback network, for example ``127.83``."""
        return ".".join(self.host.split(".")[:2])

    def to_json(self) -> str:
        """One line of JSON that :meth:`from_json` reads back."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Config:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            KeyError, TypeError: If a field is missing or unknown; the program that writes it is our own.
        """
        values: dict[str, Any] = json.loads(text)
        folders = ("directory", "images", "bundles", "function_python")
        paths: dict[str, Any] = {name: Path(values.pop(name)) for name in folders}
        times = CertificateTimes(**values.pop("certificates", {}))
        traffic = TrafficBehaviour(**values.pop("traffic"))
        return cls(**paths, certificates=times, traffic=traffic, **values)
