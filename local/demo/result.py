"""The demo's measurements, and the claims they prove; written to ``build/demo.json``."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.running_mesh import TlsCounters

ENOUGH_REQUESTS = 500


@dataclass(frozen=True)
class Result(ABC):
    """The measurements of one story."""

    @property
    @abstractmethod
    def claims(self) -> dict[str, tuple[bool, str]]:
        """Each claim of the story: was it seen to hold, and the figures."""

    @property
    def proven(self) -> bool:
        """True if every claim was seen to hold."""
        return all(seen for seen, _ in self.claims.values())

    def to_json(self) -> str:
        """The figures as indented JSON."""
        return json.dumps(asdict(self), indent=2)


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
        served_after_s: From the promotion to the gateway's running Envoy serving it, seconds.
        redeployed_after_s: From the promotion to the teller's new task serving it and the old one gone, seconds.
        new_task: Whether it is another task of the teller that serves it.
        proven: Whether both identities settled on it: served, and from now on the version to go back to.
        requests: Requests sent meanwhile.
        failed: How many of them failed.
        counted: How many of them the application counted.
        twice: How many of these came to it more than once; they have failed too.
    """

    old_serial: str
    new_serial: str
    served_after_s: float
    redeployed_after_s: float
    new_task: bool
    proven: bool
    requests: int
    failed: int
    counted: int
    twice: int


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
class DemoResult(Result):
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

    @property
    def claims(self) -> dict[str, tuple[bool, str]]:
        """Each thing the demo says: whether it was seen, and the figures."""
        renewal = self.renewal
        return {
            "one-way TLS: the teller sees a client without a certificate": (
                self.one_way.handshake >= 1 and self.one_way.no_certificate == self.one_way.handshake,
                _counted(self.one_way),
            ),
            "mutual TLS: the teller sees the gateway's certificate": (
                self.mutual.handshake >= 1 and self.mutual.no_certificate == 0,
                _counted(self.mutual),
            ),
            "a client without a certificate is refused, with its reason": (
                self.refused.status is None and "CERTIFICATE" in self.refused.reason.upper(),
                _short(self.refused.reason),
            ),
            "a renewal reaches the gateway's running Envoy": (
                renewal.old_serial != renewal.new_serial,
                f"served {renewal.served_after_s:.2f} s after promotion",
            ),
            "and the teller by a new deployment": (
                renewal.new_task and renewal.proven,
                f"a new task serves it, {renewal.redeployed_after_s:.1f} s after promotion",
            ),
            f"no request fails meanwhile (of at least {ENOUGH_REQUESTS})": (
                renewal.failed == 0 and renewal.requests >= ENOUGH_REQUESTS,
                f"{renewal.requests} requests, {renewal.failed} failed",
            ),
            "and none comes to the application twice": (
                renewal.twice == 0 and renewal.counted >= ENOUGH_REQUESTS,
                f"{renewal.counted} counted there, {renewal.twice} twice",
            ),
        }


def _counted(counters: TlsCounters) -> str:
    return f"handshake +{counters.handshake}, no_certificate +{counters.no_certificate}"


def _short(reason: str) -> str:
    """The name of the fault in Envoy's long transport failure reason."""
    names = re.findall(r"[A-Z_]{12,}", reason)
    return names[0] if names else reason
