"""
Stopping without a failed request.

ECS takes a task out of Cloud Map, then sends SIGTERM. Clients keep the address for the record's TTL (5 s) and until
they ask again (1 s), so the proxy goes on accepting connections for longer than that (15 s unless it is set) and only
asks clients to leave, with ``Connection: close`` and GOAWAY. Then it waits for requests in flight. All of it fits the
stacks' stopTimeout (60 s).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meshcert.contract.container import LOOPBACK
from meshcert.contract.environment import DRAIN, LOOPBACK_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.envoy.admin import Admin

DEFAULT_DRAIN_S = 15.0
LONGEST_DRAIN_S = 110.0
"""Fargate's longest stopTimeout is 120 s."""
FINISH_S = 5.0
"""Longest wait for requests in flight, after accepting has ended, seconds."""


def drain_time(environ: Mapping[str, str]) -> float:
    """The seconds to go on accepting after SIGTERM; the default if the setting is not a number."""
    try:
        return float(environ.get(DRAIN) or DEFAULT_DRAIN_S)
    except ValueError:
        return DEFAULT_DRAIN_S


class Drain:
    """Drains one Envoy."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        from entrypoint.envoy.admin import Admin  # an HTTP client the supervisor needs only here

        self.accept_s = drain_time(environ)
        self._admin: Admin = Admin(environ.get(LOOPBACK_ADDRESS) or LOOPBACK)
        self._accept_until = 0.0

    def begin(self) -> None:
        """Ask Envoy to drain. If it does not answer, it is stopped when the time is over all the same."""
        self._accept_until = time.monotonic() + self.accept_s
        for path in ("/healthcheck/fail", "/drain_listeners?graceful&skip_exit"):
            try:
                self._admin.post(path)
            except OSError:
                continue

    def finished(self) -> bool:
        """True once accepting has ended and no request is in flight, or FINISH_S has passed since."""
        over = time.monotonic() - self._accept_until
        return over >= FINISH_S or (over >= 0 and self._requests_in_flight() == 0)

    def _requests_in_flight(self) -> int:
        try:
            lines = self._admin.get("/stats?filter=%5Ehttp%5C..*downstream_rq_active%24").splitlines()
            return sum(int(line.rpartition(": ")[2]) for line in lines if not line.startswith("http.admin."))
        except (OSError, ValueError):
            return 0

    def cut(self) -> int:
        """How many requests end with Envoy if it is stopped now."""
        return self._requests_in_flight()
