"""Turn a message of a queue into looks, as long as there is time for them."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.errors import NotReady
from meshcert.lifecycle.asking.looks import TICK
from meshcert.lifecycle.asking.triggers import looks, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcert.lifecycle.asking.looks import Look
    from meshcert.lifecycle.asking.triggers import Scope
    from meshcert.lifecycle.ports import Ports

logger = logging.getLogger(__name__)

LEAST_LEFT = 1 / 7
"""If less time is left than this fraction of a lease, no further look is begun: its message comes again."""
TICK_OF_USE = dt.timedelta(minutes=3)
"""A look of a tick older than this is useless: its delay was a minute at most, and later ticks have sent others."""


class TimeIsUp(NotReady):
    """The function is about to be ended; messages it has not begun come again."""


@dataclass(frozen=True)
class Message:
    """
    A message from SQS.

    Args:
        id: SQS's MessageId; it stays the same when the message comes again.
        body: The text that was sent.
        queue: The queue's name.
        sender: SQS's SenderId.
        sent: When SQS took it; None if unknown.
    """

    id: str
    body: str
    queue: str
    sender: str
    sent: dt.datetime | None


def asked(
    message: Message, ports: Ports, scope: Scope, left_s: Callable[[], float]
) -> Iterator[tuple[Look, dt.datetime]]:
    """
    The looks that a message asks for, each with the time after which it may not begin again.

    Args:
        message: From the queue ``looks`` or ``orders``. Orders are taken only from ``orders``, to which few may send.
        left_s: Seconds until the function is ended.

    Yields:
        A look, and the time after which it may not begin again.

    Raises:
        TimeIsUp: If there is too little time for the next look: the message must come again.
        MeshcertError: If a table or the platform cannot be reached: the message must come again.
    """
    _begin_until(left_s(), ports)
    for look in _looks(message, ports, scope):
        yield look, _begin_until(left_s(), ports)


def _begin_until(left_s: float, ports: Ports) -> dt.datetime:
    spare_s = left_s - ports.lease_s * LEAST_LEFT
    if spare_s < 0:
        raise TimeIsUp(f"{left_s:.1f} s are left, too few to begin a look")
    return ports.clock.now() + dt.timedelta(seconds=spare_s)


def _looks(message: Message, ports: Ports, scope: Scope) -> tuple[Look, ...]:
    if message.queue == scope.orders_queue:
        return ordered(message.body, message.sender, message.id, ports)
    found = looks(message.body, ports, scope, message.sent)
    if message.sent is None or ports.clock.now() - message.sent <= TICK_OF_USE:
        return found
    # After an outage of hours, thousands of them would be queued before the first real event.
    stale = [look.identity for look in found if look.by == TICK]
    if stale:
        logger.debug("a tick of long ago: another has come since", extra={"identities": stale})
    return tuple(look for look in found if look.by != TICK)
