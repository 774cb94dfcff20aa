"""A request to look at one identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

TICK, SWEEP = "tick", "sweep"
"""What the clock asks for."""


@dataclass(frozen=True)
class Look:
    """
    Look at an identity now.

    Args:
        identity: Its name.
        by: Who says so: an event's id and type, ``tick``, ``sweep``, or SQS's SenderId of an order.
        order: ``renew`` or ``rollback`` if an operator wants that; empty for a mere look.
        reason: The operator's own words.
        message: SQS's MessageId of an order: a message that comes twice is one order.
        seen_since: A look that began then or later has seen what this one is about; None: none has.
    """

    identity: str
    by: str
    order: str = ""
    reason: str = ""
    message: str = ""
    seen_since: dt.datetime | None = None

    @property
    def brings_news(self) -> bool:
        """Something has happened; the clock only asks again."""
        return self.by not in {TICK, SWEEP}
