"""Targets that a load balancer goes on using for a while after their deregistration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Target = tuple[str, int]


class LeavingTargets:
    """
    What one listener sends new connections to.

    Args:
        lag_s: Seconds in which a deregistered target still gets new connections.
        clock: Seconds.
    """

    def __init__(self, lag_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lag_s = lag_s
        self._clock = clock
        self._registered_at: dict[Target, float] = {}

    def used(self, registered: list[Target]) -> list[Target]:
        """Those that are registered now, and those that were so at a call within the lag."""
        now = self._clock()
        self._registered_at.update(dict.fromkeys(registered, now))
        for target, at in list(self._registered_at.items()):
            if now - at >= self._lag_s and target not in registered:
                del self._registered_at[target]
        return list(self._registered_at)
