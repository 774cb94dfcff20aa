"""
Find the identities that a message is about.

Events are hints. An event that is about nothing in this mesh, or that makes no sense, asks for nothing and is not an
error. The issuer and the platform interpret their own events.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.errors import MeshcertError
from meshcert.lifecycle.asking.looks import SWEEP, TICK, Look
from meshcert.lifecycle.audit import AuditEntry
from meshcert.lifecycle.orders import ORDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.issuing.issuer import News
    from meshcert.lifecycle.ports import Ports

logger = logging.getLogger(__name__)

SHOWS_WITHIN = dt.timedelta(seconds=2)
"""Longest time until a look shows something that has happened: AWS may answer from an older state."""
ECHOES_WITHIN = dt.timedelta(minutes=1)
"""
Time after a look in which an event that repeats another one (:class:`meshcert.issuing.issuer.News`) asks for no look.

An issuer's answers have a quota, so every look counts when a fleet is renewed. If the first event was lost, a tick
looks at identities that wait for a renewal, and a sweep at all of them.
"""
_LONGEST_NAME = 64
_LONGEST_REASON = 256
_ARN_PARTS = 6
_MOST_REFERENCES = 1000
"""Certificates of one event that are looked up, each by a query; a sweep looks at those beyond."""


@dataclass(frozen=True)
class Scope:
    """
    The account and region of a mesh. Resources elsewhere are ignored.

    Args:
        account: The AWS account's number.
        region: For example ``eu-west-1``.
    """

    mesh: str
    account: str
    region: str

    @classmethod
    def around(cls, function_arn: str, mesh: str) -> Scope:
        """
        The scope of a function's mesh.

        Args:
            function_arn: From Lambda's context (``invoked_function_arn``).
        """
        parts = function_arn.split(":")
        return cls(mesh, account=parts[4], region=parts[3])

    @property
    def orders_queue(self) -> str:
        """Name of the queue ``orders`` of this mesh."""
        return naming.queue(self.mesh, "orders")

    def has(self, arn: str) -> bool:
        """True if an ARN belongs to this account and region."""
        parts = arn.split(":", _ARN_PARTS - 1)
        return len(parts) == _ARN_PARTS and parts[0] == "arn" and (parts[3], parts[4]) == (self.region, self.account)


def looks(body: str, ports: Ports, scope: Scope, sent: dt.datetime | None = None) -> tuple[Look, ...]:
    """
    The looks that a message of the queue ``looks`` asks for.

    Args:
        body: An event from EventBridge, or ``{"look": IDENTITY, "because": "tick"}``.
        sent: When SQS took the message; None if unknown.

    Returns:
        The looks; none if the message is about nothing in this mesh, or is an order, which this queue does not take.

    Raises:
        MeshcertError: If a table or ECS cannot be reached: the message must come again.
    """
    message = _document(body)
    since = _seen_since(message, ports, sent)
    name = message.get("look")
    if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME:
        because = message.get("because")
        # Only known names go into the audit log: anyone who may send to this queue could write any name.
        by = because if because in (TICK, SWEEP) else "a message"
        return (Look(name, by, seen_since=since),)
    by = " ".join(filter(None, ("event", _text(message.get("id"), 64), _text(message.get("detail-type"), 64))))
    # Two resources of one event may belong to the same identity.
    found = tuple(Look(name, by, seen_since=since) for name in dict.fromkeys(_of_event(message, ports, scope)))
    if not found:
        logger.debug("nothing to look at: %s", body[:1000])
    return found


def ordered(body: str, by: str, message_id: str, ports: Ports) -> tuple[Look, ...]:
    """
    The look that a message of the queue ``orders`` asks for.

    Args:
        body: ``{"order": one of ORDERS, "identity": IDENTITY, "reason": TEXT, "version": VERSION}``; the version may be
            missing.
        by: Who sent it: SQS's SenderId.
        message_id: SQS's MessageId.
        ports: For finding the identity, and for recording refused orders.

    Returns:
        One look, or none if the order makes no sense. Such an order is recorded in the audit log as refused and
        dropped: repeating it would not help.

    Raises:
        MeshcertError: If the table of identities cannot be reached: the message must come again.
    """
    message = _document(body)
    order, name = _text(message.get("order"), _LONGEST_NAME), _text(message.get("identity"), _LONGEST_NAME)
    reason = _text(message.get("reason"), _LONGEST_REASON)
    version = _text(message.get("version"), _LONGEST_NAME)
    if order not in ORDERS:
        fault = f"refused: an order is {', '.join(ORDERS[:-1])} or {ORDERS[-1]}"
    elif not name or ports.declared.find(name) is None:
        fault = "refused: no such identity"
    else:
        return (Look(name, by, order, reason, message_id, version=version),)
    entry = AuditEntry(ports.clock.now(), name, f"order to {order or 'do nothing'}", reason, by, outcome=fault)
    logger.warning("a bad order: %s", entry.to_json())
    try:
        ports.audit.record(entry)
    except MeshcertError as error:
        logger.warning("not in the audit log: %s", error)
    return ()


def _seen_since(message: dict[str, Any], ports: Ports, sent: dt.datetime | None) -> dt.datetime | None:
    if sent is None:
        return None
    echo = isinstance(message.get("detail"), dict) and any(news.echo for news in _news(message, ports))
    return sent - ECHOES_WITHIN if echo else sent + SHOWS_WITHIN


def _document(body: str) -> dict[str, Any]:
    try:
        document = read_json(body)
    except JsonInvalid:
        return {}
    return document if isinstance(document, dict) else {}


def _text(value: Any, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _of_event(event: dict[str, Any], ports: Ports, scope: Scope) -> Iterator[str]:
    """The names of the identities that an event is about."""
    if not _is_ours(event, scope):
        return
    references = [reference for news in _news(event, ports) for reference in news.references]
    for reference in references[:_MOST_REFERENCES]:
        identity = ports.declared.find_by_certificate(reference) if scope.has(reference) else None
        if identity:
            yield identity.name
    for service in ports.platform.news(event):
        if scope.has(service):
            yield from ports.platform.identities_of(service)


def _news(event: dict[str, Any], ports: Ports) -> Iterator[News]:
    return (issuer.news(event) for issuer in ports.issuers.values())


def _is_ours(event: dict[str, Any], scope: Scope) -> bool:
    is_here = (event.get("account"), event.get("region")) == (scope.account, scope.region)
    return is_here and isinstance(event.get("detail"), dict)
