"""Custom health statuses of Cloud Map's instances: told now, in effect later."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Instance(NamedTuple):
    """
    An instance of a Cloud Map service.

    Args:
        scope: Account and region.
    """

    scope: tuple[str, str]
    service_id: str
    instance_id: str


class CustomHealth:
    """
    Statuses on their way: each takes effect when nothing else was said of the instance for a while.

    Args:
        delay_s: Seconds until a status takes effect.
        apply: Puts a status into effect.
        clock: Seconds.
    """

    def __init__(
        self, delay_s: float, apply: Callable[[Instance, str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._delay_s = delay_s
        self._apply = apply
        self._clock = clock
        self._told = threading.Condition()
        self._waiting: dict[Instance, tuple[float, str]] = {}

    def tell(self, instance: Instance, status: str) -> None:
        """Have ``status`` take effect after the delay, instead of what was told before and is not in effect yet."""
        if self._delay_s <= 0:
            self._apply(instance, status)
            return
        with self._told:
            self._waiting[instance] = (self._clock() + self._delay_s, status)
            self._told.notify()

    def apply_due(self) -> None:
        """Put into effect what is due."""
        with self._told:
            now = self._clock()
            due = {instance: status for instance, (at, status) in self._waiting.items() if at <= now}
            for instance in due:
                del self._waiting[instance]
        for instance, status in due.items():
            self._apply(instance, status)

    def forget(self) -> None:
        """Put nothing into effect of what is waiting."""
        with self._told:
            self._waiting.clear()

    def start(self) -> None:
        """Apply what is due when it is due, on a thread of its own."""
        threading.Thread(target=self._run, daemon=True, name="custom-health").start()

    def _run(self) -> None:
        while True:
            self.apply_due()
            with self._told:
                due_at = min((at for at, _ in self._waiting.values()), default=None)
                self._told.wait(None if due_at is None else max(0.0, due_at - self._clock()))
