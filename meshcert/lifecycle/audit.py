"""A line for every action: who, what, why, before and after."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True)
class AuditEntry:
    """
    One action.

    Args:
        at: When, UTC.
        identity: For which identity.
        action: What, a :class:`~meshcert.lifecycle.deciding.steps.Action`.
        why: The reason.
        by: Who caused the look: an event's id, ``tick``, ``sweep``, or SQS's SenderId of an order.
        before: The version, rollout or instance before.
        after: That after it; empty if the action failed.
        outcome: ``done``, or why not.
        service: The service it was about, if one.
    """

    at: dt.datetime
    identity: str
    action: str
    why: str
    by: str
    before: str = ""
    after: str = ""
    outcome: str = "done"
    service: str = ""

    def to_json(self) -> str:
        """One line; ``at`` is ISO 8601, UTC."""
        return json.dumps({**asdict(self), "at": self.at.isoformat()}, separators=(",", ":"))
