"""Container health checks, really run."""

from __future__ import annotations

import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.fargate.containers.container import Container
    from local.aws.fargate.containers.definitions import HealthCheck

# Until a container is healthy for the first time it is asked this often, not once an interval: waiting 30 s for the
# first answer would make every local deployment slow and prove nothing. Failures still count once an interval only.
_STARTING_INTERVAL_S = 0.25


class Health(StrEnum):
    """ECS's words for a container's and a task's health."""

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"


class HealthMonitor:
    """
    Runs one container's health check until the container ends or :meth:`stop`.

    Args:
        container: A running container.
        check: What to run, and how often.
        changed: Called with every new status, from the monitor's thread.
    """

    def __init__(self, container: Container, check: HealthCheck, changed: Callable[[Health], None]) -> None:
        self._container = container
        self._check = check
        self._changed = changed
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="health").start()

    def stop(self) -> None:
        """Run no further check."""
        self._stopped.set()

    def _watch(self) -> None:
        check, status = self._check, Health.UNKNOWN
        started = time.monotonic()
        counted_until, failures = started + check.start_period_s, 0
        pause = _STARTING_INTERVAL_S
        while not self._stopped.wait(pause) and self._container.running:
            healthy = self._container.run(list(check.argv), check.timeout_s)
            now = time.monotonic()
            if healthy:
                failures, pause = 0, check.interval_s
            elif status is Health.HEALTHY or now - counted_until >= check.interval_s:
                counted_until, failures = now, failures + 1
            found = Health.HEALTHY if healthy else Health.UNHEALTHY if failures >= check.retries else status
            if found is not status and self._container.running and not self._stopped.is_set():
                status = found
                self._changed(status)
