"""The tasks from which the applications of a mesh call, as they are replaced."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING

from local.running_mesh import RunningMesh

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_mesh import Task

LOOK_EVERY_S = 1.0


class CallingTasks:
    """
    Knows from which tasks an application calls.

    An application's calls end with its task. So a client that stands for one calls from the tasks of now, one after
    the other: from a new one as soon as it is ready, and from one that is told to stop a second longer at most, with
    the call that is under way. These last ones must succeed too: the application still runs then.

    Args:
        running: The mesh.
    """

    def __init__(self, running: RunningMesh) -> None:
        # A mesh of its own: boto3 clients are shared between threads only by those who read the small print.
        self._running = RunningMesh(running.aws, running.name, running.resolve)
        self._looking = threading.Lock()
        self._looked_at = -LOOK_EVERY_S
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
            if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
                self._ready = self._running.ready_tasks()
                self._looked_at = time.monotonic()
            return self._ready
