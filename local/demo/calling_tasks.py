"""The tasks from which the applications of a mesh call, as they are replaced."""

from __future__ import annotations

import math
import threading
import time
from itertools import count
from typing import TYPE_CHECKING

from local.running_mesh import RunningMesh, Task, task_address
from meshcert import naming

if TYPE_CHECKING:
    from collections.abc import Callable

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
        # A mesh of its own: boto3 clients are shared between threads only by those who read the small print.
        self._running = RunningMesh(running.aws, running.name, running.resolve)
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
                self._ready = self._look()
                self._looked_at = self._clock()
            return self._ready

    def _look(self) -> dict[str, list[Task]]:
        """The healthy tasks of every service, by its name; those that are told to stop are not among them."""
        ecs, cluster = self._running.client("ecs"), naming.cluster(self._running.name)
        ready: dict[str, list[Task]] = {}
        for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus="RUNNING"):
            arns = page["taskArns"]
            for task in ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else ():
                if task["lastStatus"] == "RUNNING" and task.get("healthStatus") == "HEALTHY":
                    service = task["group"].removeprefix("service:")
                    ready.setdefault(service, []).append(Task(task["taskArn"], task_address(task)))
        return ready
