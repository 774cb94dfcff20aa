"""How much reaches an application at once, and when callers leave a task out, as a proxy's settings hold it."""

from __future__ import annotations

from meshcert.values.named_tuple import NamedTuple


class ConnectionPool(NamedTuple):
    """
    Limits of the application of one task; 0 is none.

    Args:
        max_connections: Connections at once.
        max_pending_requests: Requests that wait for a connection.
        max_requests: Requests at once, of HTTP/2.
    """

    max_connections: int = 0
    max_pending_requests: int = 0
    max_requests: int = 0


class OutlierDetection(NamedTuple):
    """
    When a caller leaves a task out because of what it answers.

    Args:
        max_server_errors: Answers of 500 and above, one after the other.
        interval_s: How often tasks that were left out are looked at, seconds.
        base_ejection_s: How long one is left out at first, seconds.
        max_ejection_percent: Share of the tasks that may be left out at once.
    """

    max_server_errors: int
    interval_s: float
    base_ejection_s: float
    max_ejection_percent: int


class HealthCheck(NamedTuple):
    """
    How a caller asks each task whether it is well.

    Args:
        healthy_threshold: Good answers in a row until a task gets requests again.
        unhealthy_threshold: Bad answers in a row until it gets none.
        interval_s: Between two questions, seconds.
        timeout_s: Longest wait for an answer, seconds.
        path: Of HTTP; empty for ``/``.
    """

    healthy_threshold: int
    unhealthy_threshold: int
    interval_s: float
    timeout_s: float
    path: str = ""
