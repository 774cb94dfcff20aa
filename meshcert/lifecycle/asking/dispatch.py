"""
Tick and sweep: have identities looked at, no faster than their issuer answers.

An issuer's answers have a quota (:class:`meshcert.issuing.issuer.Abilities`), so the queue's delay spreads looks over
time. A tick sends only as many looks as are done before the next tick, those that are due longest first. The others are
left to the next tick, so that no identity is sent twice. A sweep comes in parts if its looks take longer than the queue
can delay one.
"""

from __future__ import annotations

import logging
import math
import zlib
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
SWEEP_S = 3600
"""Seconds between two sweeps."""
MOST_PARTS = SWEEP_S // LONGEST_DELAY_S
"""Parts of a sweep that come one after the other before the next one begins."""


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
        body: ``{"dispatch": "tick"}`` or ``{"dispatch": "sweep"}``, for a part of it with ``part``, from 0, and
            ``parts``.

    Returns:
        The number of looks sent; None if the message makes no sense, so that repeating it is useless.

    Raises:
        MeshcertError: If a table or the queue cannot be reached: the message must come again.
    """
    try:
        document = read_json(body)
    except JsonInvalid:
        document = None
    if isinstance(document, dict):
        kind, part, parts = document.get("dispatch"), document.get("part", 0), document.get("parts", 1)
        if kind == TICK:
            return tick(ports)
        if kind == SWEEP and type(part) is type(parts) is int and 0 <= part < parts <= MOST_PARTS:
            return sweep(ports, part, parts)
    logger.warning("neither tick nor sweep: %a", body[:200])
    return None


def tick(ports: DispatchPorts) -> Dispatched:
    """Send looks for the unsettled identities, as many as are done before the next tick."""
    unsettled = list(ports.table.unsettled(ports.clock.now()))
    now = unsettled[: max(1, int(ports.looks_per_second * TICK_S))]
    _send(ports, now, TICK)
    return Dispatched(TICK, len(unsettled), len(now))


def sweep(ports: DispatchPorts, part: int = 0, parts: int = 1) -> Dispatched:
    """
    Send a look for every identity, or for those of one part: which is decided by the name alone.

    Args:
        part: The number of the part, from 0.
    """
    names = list(ports.declared.names())
    chosen = [name for name in names if zlib.crc32(name.encode()) % parts == part]
    _send(ports, chosen, SWEEP)
    return Dispatched(SWEEP, len(names), len(chosen))


def sweep_parts(identities: int, looks_per_second: float) -> int:
    """In how many parts a sweep of so many identities comes, so that its looks are no faster than this."""
    return min(MOST_PARTS, max(1, math.ceil(identities / (looks_per_second * LONGEST_DELAY_S))))


def _send(ports: DispatchPorts, names: Sequence[str], because: str) -> None:
    if not names:
        return
    # If there are too many for the longest delay, all go faster, evenly; they do not pile up at its end.
    rate = max(ports.looks_per_second, len(names) / (LONGEST_DELAY_S + 1))
    ports.messages.send({name: int(number / rate) for number, name in enumerate(names)}, because)
