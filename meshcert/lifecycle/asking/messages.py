"""From a message in a queue to the looks that it asks for, as long as there is time for them."""

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
"""With less time left than this part of a lease, no further look is begun: its message comes again."""
TICK_OF_USE = dt.timedelta(minutes=3)
"""A tick's look that was sent longer ago is of no use: its delay was a minute at most, others have come since."""


class TimeIsUp(NotReady):
    """The function is about to be ended: what it has not begun comes again."""


@dataclass(frozen=True)
class Message:
    """
    A message of SQS's.

    Args:
        id: SQS's MessageId; it stays when the message comes again.
        body: What was sent.
        queue: The name of the queue it came from.
        sender: SQS's SenderId.
        sent: When SQS took it; None if that is not known.
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
    The looks that a message asks for, each when it is to be taken.

    Args:
        message: From the queue ``looks`` or ``orders``. An order counts only from its own queue, which few may send to.
        ports: Where names are looked up.
        scope: The mesh's own account, region and cluster.
        left_s: Seconds until the function is ended.

    Yields:
        A look, and until when it may begin anew.

    Raises:
        TimeIsUp: If there is too little time for the next look: the message has to come again.
        MeshcertError: If a table or the platform cannot be reached: the message has to come again.
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
    # After hours of outage thousands of them would stand before the first real event.
    stale = [look.identity for look in found if look.by == TICK]
    if stale:
        logger.debug("a tick of long ago: another has come since", extra={"identities": stale})
    return tuple(look for look in found if look.by != TICK)
