"""Targets that a load balancer goes on using for a while after their deregistration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Target = tuple[str, int]


class Lag:
    """
    For how long a deregistered target still gets new connections.

    Args:
        seconds: At least so long, by the clock.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.held = False
        """True: until this is false, however long that takes."""

    def over(self, since_s: float) -> bool:
        """Whether a target that has been deregistered for so many seconds gets no more."""
        return not self.held and since_s >= self.seconds


class LeavingTargets:
    """
    What one listener sends new connections to.

    Args:
        lag: Of a deregistered target.
        clock: Seconds.
    """

    def __init__(self, lag: Lag, clock: Callable[[], float] = time.monotonic) -> None:
        self._lag = lag
        self._clock = clock
        self._registered_at: dict[Target, float] = {}

    def used(self, registered: list[Target]) -> list[Target]:
        """Those that are registered now, and those that were so at a call within the lag."""
        now = self._clock()
        self._registered_at.update(dict.fromkeys(registered, now))
        for target, at in list(self._registered_at.items()):
            if self._lag.over(now - at) and target not in registered:
                del self._registered_at[target]
        return list(self._registered_at)
