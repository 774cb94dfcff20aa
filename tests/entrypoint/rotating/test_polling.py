"""When a watcher looks and when it acknowledges, on a clock that only the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.retrying import ProcessClock
from entrypoint.rotating.acknowledgements import LONGEST_WRITE_S
from entrypoint.rotating.polling import Polling

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 60.0


class EnoughError(Exception):
    """The test has seen what it wanted to see."""


class Watch:
    """A clock, and standings that are always the same."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> dict[str, object]:
        """See :class:`entrypoint.rotating.standing.Standings`."""
        return {}

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds

    def run(
        self, look: Callable[[], object], acknowledgements: object = None, clock: ProcessClock | None = None
    ) -> None:
        """Poll until the test has enough."""
        standings: Any = self
        writer: Any = acknowledgements
        clock = clock or ProcessClock(monotonic=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0)
        with pytest.raises(EnoughError):
            Polling(INTERVAL_S, look, standings, writer, clock).run()


def test_acknowledging_never_delays_a_look() -> None:
    """Between two looks it is done only with time to spare; else after the look."""
    watch = Watch()
    events: list[tuple[str, float]] = []

    class Writer:
        due_at = 0.0

        def write(self, *_: object) -> None:
            events.append(("told", watch.now))
            self.due_at = watch.now + 25.0
            watch.now += LONGEST_WRITE_S

    def look() -> None:
        events.append(("looked", watch.now))
        if len(events) > 6:
            raise EnoughError

    watch.run(look, Writer())

    assert events == [
        ("told", 0.0),
        ("told", 25.0),
        ("looked", 60.0),
        ("told", 60.0),
        ("told", 85.0),
        ("looked", 120.0),
        ("told", 120.0),
        ("told", 145.0),
        ("looked", 180.0),
    ]


def test_a_slow_look_shortens_the_wait_for_the_next() -> None:
    """The poll interval is the longest time between two looks."""
    watch = Watch()
    looks: list[float] = []

    def look() -> None:
        looks.append(watch.now)
        if len(looks) == 4:
            raise EnoughError
        watch.now += (3.0, 500.0, 0.0)[len(looks) - 1]

    watch.run(look)

    assert looks == pytest.approx([60.0, 120.0, 620.0, 680.0])


def test_jitter_only_shortens_the_poll_interval() -> None:
    """From 80 % to all of it."""
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise EnoughError

    random_numbers = iter([0.0, 1.0])
    Watch().run(lambda: None, clock=ProcessClock(lambda: 0.0, sleep, lambda: next(random_numbers)))

    assert waits == pytest.approx([0.8 * INTERVAL_S, INTERVAL_S])
