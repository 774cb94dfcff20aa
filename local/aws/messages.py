"""Events and queue messages that AWS's services send by themselves."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from typing import Any

from ministack.core import responses
from ministack.services import eventbridge, lambda_svc, sqs

from local.aws import control, hooks

logger = logging.getLogger(__name__)


def install() -> None:
    """Make sure that MiniStack has what sending needs, and send what ``/_local/events`` is given."""
    hooks.require(eventbridge, "_put_events")
    for name in ("_queue_by_arn", "queue_delay", "_ensure_msg_fields"):
        hooks.require(sqs, name)
    hooks.require(lambda_svc, "esm_wake")
    control.route("/_local/events", _inject)


def emit(source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
    """
    Put an event on the default bus as an AWS service does.

    PutEvents refuses sources that begin with ``aws.``; services themselves are not bound by that.

    Args:
        source: For example ``aws.acm``.
        detail_type: For example ``ACM Certificate Available``.
        resources: The ARNs that the event is about.
        detail: The event's own fields.
    """
    entry = {"Source": source, "DetailType": detail_type, "Resources": resources, "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def deliver(queue_arn: str, body: str, attributes: dict[str, str], *, sender: str = "") -> bool:
    """
    Put a message into a queue, as a service does.

    Args:
        queue_arn: An SQS queue.
        body: The message's text.
        attributes: Its message attributes, all of type String.
        sender: Its SenderId; by default the account.

    Returns:
        False if there is no such queue.
    """
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        logger.warning("queue %s does not exist; lost: %s", queue_arn, body)
        return False
    now = time.time()
    message = {
        "id": str(uuid.uuid4()),
        "body": body,
        "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "receipt_handle": None,
        "sent_at": now,
        "visible_at": now + sqs.queue_delay(queue),
        "receive_count": 0,
        "attributes": {},
        "message_attributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
        "sys": {"SenderId": sender or responses.get_account_id(), "SentTimestamp": str(int(now * 1000))},
    }
    sqs._ensure_msg_fields(message)
    queue["messages"].append(message)
    lambda_svc.esm_wake.set()
    return True


def _inject(entries: Any) -> dict[str, Any]:
    """Events as AWS services would send them; ``Detail`` may be an object or its JSON text."""
    if not isinstance(entries, list):
        raise ValueError("a list of entries is expected, each with Source, DetailType, Resources and Detail")  # noqa: TRY004 - ValueError becomes status 400
    for entry in entries:
        detail = entry.get("Detail", {})
        parsed = json.loads(detail) if isinstance(detail, str) else detail
        emit(entry["Source"], entry["DetailType"], list(entry.get("Resources", [])), parsed)
    return {"sent": len(entries)}
