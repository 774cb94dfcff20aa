"""The configuration of one local AWS, read from JSON on standard input by ``python -m local.aws``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
        renewal_takes_s: Delay between RenewCertificate's empty answer and the new certificate.
        acm_day_s: How often ACM's daily run comes by the real clock; 0 means only when ``/_local/acm/day`` is told to.
    """

    born_days_ago: float = 0.0
    leaf_lifetime_s: float = LEAF_LIFETIME_DAYS * 86400.0
    managed_renewal_s: float = 60 * 86400.0
    warning_s: float = 45 * 86400.0
    back_dating_s: float = 3600.0
    renewal_takes_s: float = 1.0
    acm_day_s: float = 0.0

    @property
    def day_s(self) -> float:
        """The seconds of one day of ACM's: a leaf always lives for 395 of them. 86,400 with AWS's figures."""
        return self.leaf_lifetime_s / LEAF_LIFETIME_DAYS


@dataclass(frozen=True)
class Config:
    """
    One local AWS.

    Args:
        directory: Everything it writes lies here (temporary files, logs, function bundles); removed when it stops.
        images: Folder of the images that the ``docker`` stand-in lays out.
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
    """

    directory: Path
    images: Path
    host: str
    port: int
    dns_port: int
    account: str
    region: str
    function_python: Path
    certificates: CertificateTimes = field(default_factory=CertificateTimes)
    cpu_quota: bool = False
    other_clusters_tasks_per_s: float = 0.0

    @property
    def endpoint(self) -> str:
        """The URL that AWS_ENDPOINT_URL names."""
        return f"http://{self.host}:{self.port}"

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
        paths: dict[str, Any] = {name: Path(values.pop(name)) for name in ("directory", "images", "function_python")}
        return cls(**paths, certificates=CertificateTimes(**values.pop("certificates", {})), **values)
