"""
Tick and sweep: have identities looked at, no faster than their issuer answers.

An issuer's answers have a quota (:class:`meshcert.issuing.issuer.Abilities`), so looks are spread over time by the
queue's delay. A tick sends no more looks than are done before the next tick comes, those first
that are due longest: identities that have to wait for their turn are not sent a second time meanwhile.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.lifecycle.asking.looks import SWEEP, TICK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.clock import Clock
    from meshcert.identity import Declared
    from meshcert.lifecycle.ports import LifecycleTable, Messages

logger = logging.getLogger(__name__)

LONGEST_DELAY_S = 900
"""SQS delays a message by at most 15 minutes (sqs:SendMessage, DelaySeconds)."""
TICK_S = 60
"""Seconds between two ticks: EventBridge Scheduler has no shorter rate."""


@dataclass(frozen=True)
class DispatchPorts:
    """
    The ports of the dispatch function.

    Args:
        table: Which identities are unsettled.
        declared: Which there are.
        messages: The queue of looks.
        clock: Time.
        looks_per_second: How fast looks may follow each other.
    """

    table: LifecycleTable
    declared: Declared
    messages: Messages
    clock: Clock
    looks_per_second: float


@dataclass(frozen=True)
class Dispatched:
    """
    The result of a dispatch.

    Args:
        kind: ``tick`` or ``sweep``.
        identities: How many identities there are to look at.
        sent: To how many of them a look was sent now.
    """

    kind: str
    identities: int
    sent: int


def dispatch(body: str, ports: DispatchPorts) -> Dispatched | None:
    """
    Carry out a message of the queue ``dispatch``.

    Args:
        body: ``{"dispatch": "tick"}`` or ``{"dispatch": "sweep"}``.
        ports: Where identities are found and looks sent.

    Returns:
        The looks that were sent; None if the message makes no sense, which a repetition would not mend.

    Raises:
        MeshcertError: If a table or the queue cannot be reached: the message has to come again.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    kind = document.get("dispatch") if isinstance(document, dict) else None
    if kind == TICK:
        return tick(ports)
    if kind == SWEEP:
        return sweep(ports)
    logger.warning("neither tick nor sweep: %s", body[:200])
    return None


def tick(ports: DispatchPorts) -> Dispatched:
    """Have the unsettled identities looked at, as many as there is time for until the next tick."""
    unsettled = list(ports.table.unsettled(ports.clock.now()))
    now = unsettled[: max(1, int(ports.looks_per_second * TICK_S))]
    _send(ports, now, TICK)
    return Dispatched(TICK, len(unsettled), len(now))


def sweep(ports: DispatchPorts) -> Dispatched:
    """Have all identities looked at."""
    names = list(ports.declared.names())
    _send(ports, names, SWEEP)
    return Dispatched(SWEEP, len(names), len(names))


def _send(ports: DispatchPorts, names: Sequence[str], because: str) -> None:
    if not names:
        return
    # More than fit into the longest delay go faster, evenly, rather than all at its end.
    rate = max(ports.looks_per_second, len(names) / (LONGEST_DELAY_S + 1))
    ports.messages.send({name: int(number / rate) for number, name in enumerate(names)}, because)
