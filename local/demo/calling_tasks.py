"""The tasks from which the applications of a mesh call, as they are replaced."""

from __future__ import annotations

import math
import threading
import time
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_mesh import RunningMesh, Task

LOOK_EVERY_S = 1.0


class CallingTasks:
    """
    Knows from which tasks an application calls.

    An application's calls end with its task. So a client that stands for one calls from the tasks of now, one after
    the other: from a new one as soon as it is ready, and from one that is told to stop a second longer at most, with
    the call that is under way. These last ones must succeed too: the application still runs then.

    Args:
        running: The mesh.
        clock: Seconds that only grow.
    """

    def __init__(self, running: RunningMesh, clock: Callable[[], float] = time.monotonic) -> None:
        self._running = running.again()
        self._looking = threading.Lock()
        self._clock = clock
        self._looked_at = -math.inf
        self._ready: dict[str, list[Task]] = {}

    def address_of(self, service: str) -> Callable[[], str]:
        """Finds the address of a task of a service, each time the next one's; raises LookupError if none is ready."""
        turns = count()

        def address() -> str:
            ready = self._now().get(service)
            if not ready:
                raise LookupError(f"no task of {service} is ready")
            return ready[next(turns) % len(ready)].address

        return address

    def _now(self) -> dict[str, list[Task]]:
        with self._looking:
            if self._clock() - self._looked_at >= LOOK_EVERY_S:
                self._ready = self._running.ready_tasks()
                self._looked_at = self._clock()
            return self._ready
