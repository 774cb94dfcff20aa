"""The clock of a watcher: looks at the secrets, and acknowledgements between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from entrypoint.aws.retrying import ProcessClock
from entrypoint.rotating.acknowledgements import LONGEST_WRITE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.rotating.acknowledgements import AcknowledgementWriter
    from entrypoint.rotating.routes import RouteStanding
    from entrypoint.rotating.standing import Standings

_SHORTEST_WAIT = 0.8
"""Fraction of the interval that is always waited; the rest is jitter, so that tasks do not ask in step."""


class Polling:
    """
    Looks for ever, and acknowledges after each look and whenever that is due.

    Args:
        interval_s: Longest time from the start of one look to the start of the next, seconds; jitter only shortens it.
        standings: Returns what is acknowledged of each identity.
        routes: Returns what is acknowledged of the route table; None for a proxy without one.
        acknowledgements: Writes that; None if acknowledgements are off.
    """

    def __init__(
        self,
        interval_s: float,
        look: Callable[[], object],
        standings: Standings,
        acknowledgements: AcknowledgementWriter | None,
        clock: ProcessClock | None = None,
        *,
        routes: Callable[[], RouteStanding] | None = None,
    ) -> None:
        self._interval_s = interval_s
        self._look = look
        self._standings = standings
        self._acknowledgements = acknowledgements
        self._routes = routes
        self._clock = clock or ProcessClock()

    def run(self) -> Never:
        """Acknowledge, then look and acknowledge for ever."""
        began = self._clock.monotonic()
        self._acknowledge()
        while True:
            jitter = _SHORTEST_WAIT + (1 - _SHORTEST_WAIT) * self._clock.jitter()
            self._wait_until(began + self._interval_s * jitter)
            began = self._clock.monotonic()
            self._look()
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self._acknowledgements:
            self._acknowledgements.write(self._standings.read(), self._routes() if self._routes else None)

    def _wait_until(self, looks_at: float) -> None:
        """Wait for the next look, and acknowledge meanwhile, unless that could delay the look."""
        while self._acknowledgements:
            due_at = self._acknowledgements.due_at
            if not self._clock.monotonic() < due_at < looks_at - LONGEST_WRITE_S:
                break
            self._clock.sleep(due_at - self._clock.monotonic())
            self._acknowledge()
        self._clock.sleep(max(0.0, looks_at - self._clock.monotonic()))
