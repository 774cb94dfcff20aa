"""
Tick and sweep: have identities looked at, no faster than their issuer answers.

An issuer's answers have a quota (:class:`meshcert.issuing.issuer.Abilities`), so the queue's delay spreads looks over
time. A tick sends only as many looks as are done before the next tick, those that are due longest first. The others are
left to the next tick, so that no identity is sent twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.bounded_json import JsonInvalid, read_json
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
        table: Lists the unsettled identities.
        declared: Lists all identities.
        looks_per_second: Largest number of looks a second.
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
        identities: Number of identities to look at.
        sent: Number of looks sent now.
    """

    kind: str
    identities: int
    sent: int


def dispatch(body: str, ports: DispatchPorts) -> Dispatched | None:
    """
    Carry out a message of the queue ``dispatch``.

    Args:
        body: ``{"dispatch": "tick"}`` or ``{"dispatch": "sweep"}``.

    Returns:
        The number of looks sent; None if the message makes no sense, so that repeating it is useless.

    Raises:
        MeshcertError: If a table or the queue cannot be reached: the message must come again.
    """
    try:
        document = read_json(body)
    except JsonInvalid:
        document = None
    kind = document.get("dispatch") if isinstance(document, dict) else None
    if kind == TICK:
        return tick(ports)
    if kind == SWEEP:
        return sweep(ports)
    logger.warning("neither tick nor sweep: %a", body[:200])
    return None


def tick(ports: DispatchPorts) -> Dispatched:
    """Send looks for the unsettled identities, as many as are done before the next tick."""
    unsettled = list(ports.table.unsettled(ports.clock.now()))
    now = unsettled[: max(1, int(ports.looks_per_second * TICK_S))]
    _send(ports, now, TICK)
    return Dispatched(TICK, len(unsettled), len(now))


def sweep(ports: DispatchPorts) -> Dispatched:
    """Send a look for every identity."""
    names = list(ports.declared.names())
    _send(ports, names, SWEEP)
    return Dispatched(SWEEP, len(names), len(names))


def _send(ports: DispatchPorts, names: Sequence[str], because: str) -> None:
    if not names:
        return
    # If there are too many for the longest delay, all go faster, evenly; they do not pile up at its end.
    rate = max(ports.looks_per_second, len(names) / (LONGEST_DELAY_S + 1))
    ports.messages.send({name: int(number / rate) for number, name in enumerate(names)}, because)
