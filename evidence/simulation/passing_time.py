"""Time that passes from one thing that happens to the next: programs that run side by side, with no real waiting."""

from __future__ import annotations

import datetime as dt
import heapq
import threading
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class PassingTime:
    """
    A clock for programs that run side by side as they would on AWS, although only one of them runs at any moment.

    A program is an ordinary function in a thread of its own; while it sleeps, whoever is due next runs. What happens at
    one moment happens in the order in which it was put on the agenda: a run can be repeated exactly.

    Args:
        begin: The time at first, aware, UTC.
    """

    def __init__(self, begin: dt.datetime) -> None:
        self._now = begin
        self._agenda: list[tuple[dt.datetime, int, Callable[[], object]]] = []
        self._numbers = count()
        self._turn_is_over = threading.Semaphore(0)
        self._fault: BaseException | None = None

    def now(self) -> dt.datetime:
        """The time."""
        return self._now

    def begin(self, program: Callable[[], object], in_s: float = 0.0) -> None:
        """Have a program begin in so many seconds."""

        def run() -> None:
            try:
                program()
            except BaseException as fault:  # noqa: BLE001  whatever it is, run() raises it
                self._fault = fault
            self._turn_is_over.release()

        self._put(threading.Thread(target=run, daemon=True).start, in_s)

    def sleep(self, seconds: float) -> None:
        """Let others run meanwhile; only for a program of this clock's."""
        if seconds <= 0:
            return
        my_turn = threading.Semaphore(0)
        self._put(my_turn.release, seconds)
        self._turn_is_over.release()
        my_turn.acquire()

    def pass_until(self, time: dt.datetime) -> None:
        """Let time pass in which nothing happens."""
        self._now = max(self._now, time)

    def run(self) -> None:
        """Run until nothing is left on the agenda; raises what a program raised."""
        while self._agenda and self._fault is None:
            self._now, _, wake = heapq.heappop(self._agenda)
            wake()
            self._turn_is_over.acquire()
        if self._fault:
            raise self._fault

    def _put(self, wake: Callable[[], object], in_s: float) -> None:
        heapq.heappush(self._agenda, (self._now + dt.timedelta(seconds=in_s), next(self._numbers), wake))
