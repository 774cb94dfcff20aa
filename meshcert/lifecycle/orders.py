"""The orders of operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

RENEW, ROLL_BACK, COMPROMISED = "renew", "rollback", "compromised"
ORDERS = (RENEW, ROLL_BACK, COMPROMISED)
"""The kinds of orders, as messages and commands name them."""


@dataclass(frozen=True)
class Order:
    """
    An operator's order.

    Args:
        kind: One of :data:`ORDERS`.
        by: Who sent it: SQS's SenderId.
        reason: The operator's own words.
        at: When it was taken up.
        version: The issued version that is to be renewed, the published one that is to be left, or the one whose key is
            compromised; empty until it is known. Once another version has replaced it, an order to renew or to roll
            back has been carried out.
    """

    kind: str
    by: str
    reason: str
    at: dt.datetime
    version: str = ""
