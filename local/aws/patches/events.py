"""EventBridge: events from AWS services, targets that are retried, and dead-letter queues that receive."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

from ministack.core import arn as arns
from ministack.core import iam_evaluator, responses
from ministack.services import eventbridge, lambda_svc, sqs

from local.aws import control, hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config

logger = logging.getLogger(__name__)

_SERVICE = "events.amazonaws.com"
_BATCH = 10


def install(config: Config) -> None:
    """Replace the delivery to functions and guard the delivery to every target with its dead-letter queue."""
    del config
    for name in ("_put_events", "_pattern_event_view"):
        hooks.require(eventbridge, name)
    for name in ("_queue_by_arn", "queue_policy_allows", "queue_delay", "_ensure_msg_fields"):
        hooks.require(sqs, name)
    for name in (
        "_get_func_record_for_ref",
        "_execution_record_for_config",
        "invoke_async_with_retry",
        "function_policy_for_arn",
        "esm_wake",
    ):
        hooks.require(lambda_svc, name)
    hooks.replace(eventbridge, "_dispatch_to_lambda", _invoke_function)
    hooks.wrap(eventbridge, "_invoke_target", _guard_target)
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
        Whether there is such a queue.
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


def _invoke_function(arn: str, payload: str) -> None:
    """Invoke asynchronously, so that the function's retries and its dead-letter queue take part."""
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    record = lambda_svc._execution_record_for_config(function, config)
    lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def _guard_target(inner: Callable[..., None]) -> Callable[..., None]:
    def invoke(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        refusal = _refusal(target["Arn"], rule.get("Arn", ""))
        if refusal is None:
            inner(target, event, rule, view)
            return
        code, message = refusal
        logger.warning("rule %s: target %s: %s", rule.get("Name"), target["Arn"], message)
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue and sqs.queue_policy_allows(queue, _SERVICE, rule.get("Arn", ""), responses.get_account_id()):
            body = json.dumps(eventbridge._pattern_event_view(event).event_with_detail())
            attributes = {
                "RULE_ARN": rule.get("Arn", ""),
                "TARGET_ARN": target["Arn"],
                "ERROR_CODE": code,
                "ERROR_MESSAGE": message,
                "EXHAUSTED_RETRY_CONDITION": "NonRetryableError",
                "RETRY_ATTEMPTS": "0",
            }
            deliver(queue, body, attributes)

    return invoke


def _refusal(target_arn: str, rule_arn: str) -> tuple[str, str] | None:
    """EventBridge's error code and message for a target that cannot be reached, or None if it can."""
    try:
        service = arns.parse_arn(target_arn).service
    except arns.ArnParseError:
        return "NO_RESOURCE", f"{target_arn!r} is not an ARN"
    if service == "sqs":
        if sqs._queue_by_arn(target_arn) is None:
            return "NO_RESOURCE", f"queue {target_arn} does not exist"
        if not sqs.queue_policy_allows(target_arn, _SERVICE, rule_arn, responses.get_account_id()):
            return "NO_PERMISSIONS", f"the policy of {target_arn} does not let {_SERVICE} send"
    if service == "lambda":
        function, config, _ = lambda_svc._get_func_record_for_ref(target_arn)
        if not function or not config:
            return "NO_RESOURCE", f"function {target_arn} does not exist"
        if not _may_invoke(target_arn, rule_arn):
            return "NO_PERMISSIONS", f"the policy of {target_arn} does not let {_SERVICE} invoke it for {rule_arn}"
    return None


def _may_invoke(function_arn: str, rule_arn: str) -> bool:
    found = lambda_svc.function_policy_for_arn(function_arn)
    if found is None:
        return False
    account = responses.get_account_id()
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{account}:service/{_SERVICE}",
        principal_type="Service",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=responses.get_region(),
        service_context={"aws:sourcearn": rule_arn, "aws:sourceaccount": account},
    )
    decision: str = iam_evaluator.evaluate_resource_policy(found[0], context, service=_SERVICE).decision
    return decision == "Allow"
