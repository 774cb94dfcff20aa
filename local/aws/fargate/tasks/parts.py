"""One container of a task: when it may start, and when it never will."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from local.aws.fargate.containers.container import Container, ContainerPlan
from local.aws.fargate.containers.health import Health, HealthMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.fargate.containers.definitions import ContainerDefinition


class Part:
    """
    One container of a task, before, while and after it runs.

    Args:
        plan: What it is started with.
        changed: Called from other threads when it ended or its health changed.
    """

    def __init__(self, definition: ContainerDefinition, plan: ContainerPlan, changed: Callable[[], None]) -> None:
        self.definition = definition
        self.health = Health.UNKNOWN
        self._container = Container(plan, changed)
        self._changed = changed
        self._monitor: HealthMonitor | None = None
        self._started_at = 0.0

    @property
    def started(self) -> bool:
        """True once it was started; it may have ended since."""
        return self._started_at > 0

    @property
    def running(self) -> bool:
        """True while it runs."""
        return self._container.running

    @property
    def ended(self) -> bool:
        """True once it was started and has ended."""
        return self.started and not self._container.running

    @property
    def exit_code(self) -> int | None:
        """Its first process's exit code (128 + n after signal n), or None while it runs or if it never did."""
        return self._container.exit_code

    def start(self) -> None:
        """
        Start it and its health check, from the task's own thread.

        Raises:
            ContainerStartError: If it cannot be started.
        """
        self._container.start()
        self._started_at = time.monotonic()
        if self.definition.health_check is not None:
            self._monitor = HealthMonitor(self._container, self.definition.health_check, self._note_health)

    def end(self) -> None:
        """SIGTERM to its first process; nothing asks for its health any more."""
        self._stop_monitor()
        self._container.terminate()

    def kill(self) -> None:
        """End it and all it started at once."""
        self._stop_monitor()
        self._container.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end, at most ``timeout_s`` seconds; False if it still runs."""
        return not self.started or self._container.wait(timeout_s)

    def fulfils(self, condition: str) -> bool:
        """True if a container that depends on this one under ``condition`` may start."""
        return self.started and (
            condition == "START"
            or (condition == "HEALTHY" and self.health is Health.HEALTHY)
            or (condition == "COMPLETE" and self.ended)
            or (condition == "SUCCESS" and self.exit_code == 0)
        )

    def defeats(self, condition: str) -> bool:
        """
        True if the task ends, for ``condition`` was not met within the container's startTimeout, or by its exit code.

        No kinder than ECS: who waits for the health of a container without that timeout, or of one that has ended,
        waits for as long as the task lasts (amazon-ecs-agent, dependencygraph/graph.go; containers-roadmap#2379).
        """
        if not self.started or self.fulfils(condition):
            return False
        if self.ended:
            return condition == "SUCCESS"
        longest = self.definition.start_timeout_s
        return longest is not None and time.monotonic() - self._started_at > longest

    def _note_health(self, health: Health) -> None:
        self.health = health
        self._changed()

    def _stop_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.stop()
