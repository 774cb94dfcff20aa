"""Counts of answered and failed requests."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from local.requests_seen import RequestIds, told_twice

if TYPE_CHECKING:
    from local.requests_seen import RequestsSeen

_DETAILS = 10
"""Failures whose words are kept; the rest is only counted."""


class Failure(StrEnum):
    """Why a request failed."""

    CONNECT = "connect"
    """No connection could be made."""
    RESET = "reset"
    """It was sent, and the connection or the stream ended without an answer."""
    GOAWAY = "goaway"
    """The server's GOAWAY promised an answer to it, and the connection ended without one."""
    STATUS = "status"
    """Another status than 200, or than 0 for gRPC."""
    TIMEOUT = "timeout"
    """No answer in time."""
    PROTOCOL = "protocol"
    """Not the answer to this question, or none that can be understood."""
    TWICE = "twice"
    """It came to the application more than once, whatever became of it."""


class RequestFailed(Exception):
    """
    A request has no answer.

    Args:
        failure: What kind of failure.
        detail: What was seen.
    """

    def __init__(self, failure: Failure, detail: str) -> None:
        self.failure = failure
        self.detail = detail
        super().__init__(f"{failure}: {detail}")


@dataclass(frozen=True)
class LoadReport:
    """
    One load's figures.

    Args:
        requests: Answered or failed.
        failures: How many of them failed, by :class:`Failure`.
        details: What was seen of the first failures.
        repeated: How often a request was sent again because the server said that it had not looked at it.
        connections: How many were made.
        counted: Requests that the application counted; 0 if it counts none.
        per_second: Requests a second.
        p50_ms: Median time from question to answer, a new connection included, milliseconds; None without answers.
        p99_ms: The same that 99 of 100 keep.
    """

    requests: int
    failures: dict[str, int]
    details: list[str]
    repeated: int
    connections: int
    counted: int
    per_second: float
    p50_ms: float | None
    p99_ms: float | None

    @property
    def twice(self) -> int:
        """Requests that came to the application more than once; they are among the failures."""
        return self.failures.get(Failure.TWICE, 0)

    @property
    def failed(self) -> int:
        """Failures of every kind."""
        return sum(self.failures.values())

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LoadReport:
        """Read what :func:`dataclasses.asdict` gave."""
        return cls(**value)


class Tally:
    """Counts the requests of one load."""

    def __init__(self) -> None:
        self.repeated = 0
        """Requests sent again."""
        self.connections = 0
        """Connections made."""
        self.ids = RequestIds()
        """Of its requests."""
        self._latencies_s = array("d")
        self._failures: Counter[str] = Counter()
        self._details: list[str] = []

    @property
    def answered(self) -> int:
        """Requests with the right answer."""
        return len(self._latencies_s)

    def answer(self, latency_s: float) -> None:
        """Count a right answer."""
        self._latencies_s.append(latency_s)

    def fail(self, error: RequestFailed) -> None:
        """Count a failure."""
        self._failures[error.failure] += 1
        if len(self._details) < _DETAILS:
            self._details.append(str(error))

    def report(self, took_s: float, seen: RequestsSeen | None = None) -> LoadReport:
        """
        The figures.

        Args:
            took_s: How long the load lasted, seconds.
            seen: What came to the application; None if nobody counts there.
        """
        requests = self.answered + self._failures.total()
        came = seen.of(self.ids.prefix) if seen else {}
        for told in told_twice(came):
            self.fail(RequestFailed(Failure.TWICE, told))
        ordered = sorted(self._latencies_s)
        return LoadReport(
            requests=requests,
            failures=dict(self._failures),
            details=self._details,
            repeated=self.repeated,
            connections=self.connections,
            counted=len(came),
            per_second=round(requests / took_s, 1),
            p50_ms=_quantile_ms(ordered, 0.5),
            p99_ms=_quantile_ms(ordered, 0.99),
        )


def _quantile_ms(ordered: list[float], part: float) -> float | None:
    return round(ordered[int(part * (len(ordered) - 1))] * 1000, 2) if ordered else None
