"""
Events that misbehave on purpose: lost, doubled, out of order or late, as EventBridge's best effort allows.

Source: EventBridge reference, "Event delivery level": events may be lost, arrive twice, and in any order.
"""

from __future__ import annotations

import contextvars
import json
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ministack.services import eventbridge

from local.aws import control, hooks

if TYPE_CHECKING:
    from local.aws.per_account import PerAccount

logger = logging.getLogger(__name__)

KINDS = frozenset({"lost", "doubled", "shuffled", "mixed", "delayed"})
_SHUFFLED_TOGETHER = 3
_SEED = 7

Event = dict[str, Any]
Delivery = tuple[contextvars.Context, Callable[[Event], None], Event]


@dataclass(frozen=True)
class Mode:
    """
    How some events misbehave.

    Args:
        mode: One of :data:`KINDS`; ``mixed`` is doubled and shuffled.
        source: For example ``aws.acm``, or ``*``.
        detail_type: For example ``ACM Certificate Available``, or ``*``.
        resource: An ARN among the event's resources, a value in its detail (a task's ``service:NAME``), or ``*``.
        seconds: How late a ``delayed`` event comes; how long a ``shuffled`` or ``mixed`` one waits for others at most.
    """

    mode: str
    source: str = "*"
    detail_type: str = "*"
    resource: str = "*"
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in KINDS:
            raise ValueError(f"event mode {self.mode!r} is none of {sorted(KINDS)}")

    def meets(self, event: Event) -> bool:
        """True if ``event`` misbehaves in this way."""
        return (
            self.source in {"*", event["Source"]}
            and self.detail_type in {"*", event["DetailType"]}
            and (self.resource == "*" or self.resource in (event.get("Resources") or []) or self._is_in_detail(event))
        )

    def _is_in_detail(self, event: Event) -> bool:
        detail = event.get("Detail") or ""
        return f'"{self.resource}"' in (detail if isinstance(detail, str) else json.dumps(detail))


class EventModes:
    """The modes in force in one account, what they hold back, and how often each was met."""

    def __init__(self) -> None:
        self._modes: list[Mode] = []
        self._met: list[int] = []
        self._counts: Counter[str] = Counter()
        self._held: dict[int, list[Delivery]] = {}
        self._generation = 0
        self._chance = random.Random(_SEED)
        self._lock = threading.Lock()

    def replace(self, modes: list[Mode]) -> None:
        """Put ``modes`` in force and count from zero; what is held back is let go."""
        self._send(self._begin_again(modes))

    def forget(self) -> None:
        """End all modes, as a reset does: what is held back is lost."""
        self._begin_again([])

    def _begin_again(self, modes: list[Mode]) -> list[Delivery]:
        """Put ``modes`` in force; returns what was held back."""
        with self._lock:
            held = [delivery for deliveries in self._held.values() for delivery in deliveries]
            self._modes, self._met = modes, [0] * len(modes)
            self._generation += 1
            self._held.clear()
            self._counts.clear()
            self._chance.seed(_SEED)
        return held

    def describe(self) -> dict[str, Any]:
        """The modes with how many events met each and how many it holds back, and the totals of each kind."""
        with self._lock:
            modes = [
                {**asdict(mode), "met": self._met[number], "held": len(self._held.get(number, []))}
                for number, mode in enumerate(self._modes)
            ]
            return {"modes": modes, "counts": {kind: self._counts[kind] for kind in sorted(KINDS)}}

    def pass_on(self, event: Event, deliver: Callable[[Event], None]) -> None:
        """
        Deliver an event as the first mode that it meets says; as it is if it meets none.

        Args:
            deliver: Called once for each time it is to arrive, in the present context, perhaps later.
        """
        delivery = (contextvars.copy_context(), deliver, event)
        with self._lock:
            number = next((number for number, mode in enumerate(self._modes) if mode.meets(event)), None)
            mode = None if number is None else self._modes[number]
            ready = [delivery] if mode is None else self._bend(mode, number or 0, delivery)
        self._send(ready)

    def _bend(self, mode: Mode, number: int, delivery: Delivery) -> list[Delivery]:
        """Hold an event back or multiply it; returns what is to be delivered now."""
        self._met[number] += 1
        self._counts[mode.mode] += 1
        if mode.mode == "doubled":
            return [delivery, delivery]
        if mode.mode == "lost":
            return []
        held = self._held.setdefault(number, [])
        first = not held
        held += [delivery, delivery] if mode.mode == "mixed" else [delivery]
        if mode.mode != "delayed" and len(held) >= _SHUFFLED_TOGETHER:
            return self._mixed(self._held.pop(number))
        if mode.mode == "delayed" or first:
            self._later(mode, number, delivery)
        return []

    def _later(self, mode: Mode, number: int, delivery: Delivery) -> None:
        timer = threading.Timer(mode.seconds, self._release, (mode, number, delivery, self._generation))
        timer.daemon = True
        timer.start()

    def _release(self, mode: Mode, number: int, delivery: Delivery, generation: int) -> None:
        with self._lock:
            held = self._held.get(number, [])
            if generation != self._generation or delivery not in held:
                return
            if mode.mode == "delayed":
                held.remove(delivery)
                ready = [delivery]
            else:
                ready = self._mixed(self._held.pop(number))
        self._send(ready)

    def _mixed(self, deliveries: list[Delivery]) -> list[Delivery]:
        self._chance.shuffle(deliveries)
        return deliveries

    def _send(self, deliveries: list[Delivery]) -> None:
        for context, deliver, event in deliveries:
            try:
                context.run(deliver, event)
            except Exception:
                # Whoever sent the event has gone on long ago, and a target's fault is none of the other events'.
                logger.exception("event %s of %s could not be delivered", event["DetailType"], event["Source"])


def install(modes: PerAccount[EventModes]) -> None:
    """Bend what EventBridge dispatches, whoever sent it, as ``/_local/events/modes`` says."""

    def configure(value: Any) -> dict[str, Any]:
        """A list replaces the modes; anything else only asks."""
        current = modes.current
        if isinstance(value, list):
            current.replace([Mode(**mode) for mode in value])
        return current.describe()

    def dispatch_bent(inner: Callable[[Event], None]) -> Callable[..., None]:
        def dispatch(event: Event, view: Any = None) -> None:
            del view
            modes.current.pass_on(event, inner)

        return dispatch

    hooks.wrap(eventbridge, "_dispatch_event", dispatch_bent)
    control.route("/_local/events/modes", configure)
