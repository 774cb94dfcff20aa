"""The wait before a child that has died is started again."""

from __future__ import annotations

FIRST_S = 0.5
MOST_S = 60.0
SOUND_AFTER_S = 120.0
"""A child that lived this many seconds was sound: its end starts a new count."""


class Restarts:
    """A wait that doubles with every early death."""

    def __init__(self) -> None:
        self._started = 0.0
        self._early_deaths = 0

    def started(self, now: float) -> None:
        """Note a start; ``now`` is in seconds on the monotonic clock."""
        self._started = now

    def delay_after_end(self, now: float) -> float:
        """Note an end, and return the seconds to wait."""
        sound = now - self._started >= SOUND_AFTER_S
        self._early_deaths = 1 if sound else self._early_deaths + 1
        return min(FIRST_S * 2.0 ** min(self._early_deaths - 1, 16), MOST_S)
