"""What the demo has measured; ``build/demo.json`` is this, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.running_mesh import TlsCounters

ENOUGH_REQUESTS = 500


@dataclass(frozen=True)
class Refused:
    """
    A client without a certificate, straight at the teller.

    Args:
        status: The HTTP status it got; None if it got none, as it should be.
        reason: Why, as the teller's access log says.
    """

    status: int | None
    reason: str


@dataclass(frozen=True)
class Renewal:
    """
    A renewal carried through while a client kept asking.

    Args:
        old_serial: The teller's certificate before, hex.
        new_serial: The teller's certificate after, hex, as its Envoy serves it.
        served_after_s: Longest time from a promotion to that Envoy serving it, seconds, over both Envoys.
        requests: Requests sent meanwhile.
        failed: How many of them failed.
    """

    old_serial: str
    new_serial: str
    served_after_s: float
    requests: int
    failed: int


@dataclass(frozen=True)
class Seconds:
    """
    How long it took, seconds.

    Args:
        install: Setting up environments; about 0 the second time.
        deploy: Bootstrap and first deploy, until every service was steady.
        total: Everything, from the command to the result.
    """

    install: float
    deploy: float
    total: float


@dataclass(frozen=True)
class DemoResult:
    """
    Everything the demo proves.

    Args:
        answer: What the teller answered through the gateway.
        one_way: The teller's counters around one request under one-way TLS.
        mutual: The same under mutual TLS.
        refused: The client without a certificate.
        renewal: The rotation.
        seconds: Durations.
    """

    answer: str
    one_way: TlsCounters
    mutual: TlsCounters
    refused: Refused
    renewal: Renewal
    seconds: Seconds

    def to_json(self) -> str:
        """The result as indented JSON."""
        return json.dumps(asdict(self), indent=2)

    @property
    def claims(self) -> dict[str, bool]:
        """Each thing the demo says, and whether it was seen."""
        return {
            "one-way TLS: the teller sees a client without a certificate": self.one_way.handshake >= 1
            and self.one_way.no_certificate == self.one_way.handshake,
            "mutual TLS: the teller sees the gateway's certificate": self.mutual.handshake >= 1
            and self.mutual.no_certificate == 0,
            "a client without a certificate is refused, with its reason": self.refused.status is None
            and "CERTIFICATE" in self.refused.reason.upper(),
            "a renewal reaches both running Envoys": self.renewal.old_serial != self.renewal.new_serial,
            f"no request fails meanwhile (of at least {ENOUGH_REQUESTS})": self.renewal.failed == 0
            and self.renewal.requests >= ENOUGH_REQUESTS,
        }

    @property
    def proven(self) -> bool:
        """Whether all of it was seen."""
        return all(self.claims.values())
