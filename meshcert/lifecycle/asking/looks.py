"""A request to look at one identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

TICK, SWEEP = "tick", "sweep"
"""The looks that the clock asks for."""


@dataclass(frozen=True)
class Look:
    """
    A request to look at an identity now.

    Args:
        by: Who asks: an event's id and type, ``tick``, ``sweep``, or the SenderId that SQS gives an order.
        order: One of :data:`meshcert.lifecycle.orders.ORDERS` if an operator wants that; empty for a look without an
            order.
        reason: The operator's own words.
        message: SQS's MessageId of an order. A message that comes twice counts as one order.
        seen_since: This look is unnecessary if another one has begun at this time or later; None if it is needed in any
            case.
        version: The version that an order is about; empty if it names none.
    """

    identity: str
    by: str
    order: str = ""
    reason: str = ""
    message: str = ""
    seen_since: dt.datetime | None = None
    version: str = ""

    @property
    def brings_news(self) -> bool:
        """True if something has happened; false if only the clock asks again."""
        return self.by not in {TICK, SWEEP}
