"""Write lines into the audit log; no look fails because of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from meshcert.errors import MeshcertError
from meshcert.lifecycle.audit import AuditEntry
from meshcert.lifecycle.last_look import LONGEST_DETAIL, MOST_FAULTS, FaultSeen, LastLook
from meshcert.lifecycle.orders import COMPROMISED

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.lifecycle.deciding.plan import Plan
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.orders import Order
    from meshcert.lifecycle.ports import Audit

logger = logging.getLogger(__name__)


def record(audit: Audit, entry: AuditEntry) -> None:
    """Write a line; if that fails, the function's own log has it: a rotation does not wait for the audit log."""
    try:
        audit.record(entry)
    except MeshcertError as error:
        logger.error("not in the audit log (%s): %s", error, entry.to_json())  # noqa: TRY400  ours, no traceback


def order_ended(identity: str, order: Order, outcome: str, at: dt.datetime) -> AuditEntry:
    """The line about the end of an order."""
    action = "order about a compromised key" if order.kind == COMPROMISED else f"order to {order.kind}"
    return AuditEntry(at, identity, action, order.reason, order.by, order.version, outcome=outcome)


def last_look(seen: Observation, planned: Plan) -> LastLook:
    """What a look ended with, as the identity's memory keeps it."""
    step = planned.step
    faults = [FaultSeen(str(each.kind), each.detail[:LONGEST_DETAIL]) for each in planned.findings[:MOST_FAULTS]]
    return LastLook(
        at=seen.now,
        settled=planned.settled,
        action=str(step.action),
        why=step.why[:LONGEST_DETAIL],
        service=step.service,
        last_good=seen.last_good,
        faults=tuple(faults),
    )
