"""How a fleet was renewed, simulated or on the local AWS, beside the least time that AWS's request quotas allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDED = {
    "acm:RenewCertificate": (1, 5.0),
    "acm:DescribeCertificate": (2, 10.0),
    "acm:GetCertificate": (1, 10.0),
    "acm:ListTagsForCertificate": (1, 10.0),
    "acm:ExportCertificate": (1, 10.0),
    "secretsmanager:PutSecretValue": (4, 50.0),
}
"""Calls that a rotation needs, and how many a second AWS answers for a whole account (ACM user guide, "Quotas"; Secrets
Manager user guide, "AWS Secrets Manager quotas": PutSecretValue and UpdateSecretVersionStage have one together)."""


def floors_s(identities: int) -> dict[str, float]:
    """The least time that the rotation of so many identities takes, by API, seconds."""
    return {api: identities * needed / rate for api, (needed, rate) in NEEDED.items()}


@dataclass(frozen=True)
class Swept:
    """
    A sweep of a fleet in which nothing was due.

    Args:
        identities: How many there are.
        parts: In how many parts it came, over an hour.
        looks: How many of them were looked at.
        took_s: From its beginning to the end of the last look, seconds.
        calls: Calls by API, those included that AWS refused and the SDK made again.
        refused: Calls by API that AWS refused at first.
        throttled: Calls that failed after the SDK's own tries.
    """

    identities: int
    parts: int
    looks: int
    took_s: float
    calls: Mapping[str, int]
    refused: Mapping[str, int]
    throttled: int

    def figures(self) -> dict[str, Any]:
        """Its entry in a report."""
        return {
            "parts": self.parts,
            "looks": self.looks,
            "took_s": round(self.took_s, 1),
            "throttled": self.throttled,
            "calls": dict(sorted(self.calls.items())),
            "refused_at_first": dict(sorted(self.refused.items())),
        }


@dataclass(frozen=True)
class Renewed:
    """
    How a fleet was renewed.

    Args:
        identities: How many there are.
        new_certificates: How many new certificates ACM holds in the end.
        published: How many of them are published.
        took_s: From the first tick or sweep to the last publication, seconds.
        calls: Calls by API, those included that AWS refused and the SDK made again.
        refused: Calls by API that AWS refused at first.
        throttled: Calls that failed after the SDK's own tries.
        looks: Looks taken; None where nobody counts them.
    """

    identities: int
    new_certificates: int
    published: int
    took_s: float
    calls: Mapping[str, int]
    refused: Mapping[str, int]
    throttled: int
    looks: int | None = None

    @property
    def floor_s(self) -> dict[str, float]:
        """The least time that AWS's quotas allow, by API, seconds."""
        return floors_s(self.identities)

    @property
    def over_floor(self) -> float:
        """The time it took, as a multiple of the least time."""
        return self.took_s / max(self.floor_s.values())

    def figures(self) -> dict[str, Any]:
        """Its entry in a report."""
        return {
            "identities": self.identities,
            "new_certificates": self.new_certificates,
            "published": self.published,
            "took_s": round(self.took_s, 1),
            "over_floor": round(self.over_floor, 3),
            "throttled": self.throttled,
            "floor_s": {api: round(least, 1) for api, least in self.floor_s.items()},
            **({} if self.looks is None else {"looks": self.looks}),
            "calls": dict(sorted(self.calls.items())),
            "refused_at_first": dict(sorted(self.refused.items())),
        }
