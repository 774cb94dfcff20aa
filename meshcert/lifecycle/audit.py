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
        at: When it was taken, UTC.
        identity: The identity's name.
        action: Of :class:`~meshcert.lifecycle.deciding.steps.Action`.
        why: The reason, shown to people.
        by: Who caused the look: an event's id, ``tick``, ``sweep``, or the SenderId that SQS gives an order.
        before: The version, rollout or instance before.
        after: The one after it; empty if the action failed.
        outcome: ``done``, or the error.
        service: The service it was about, if any.
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
