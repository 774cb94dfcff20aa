"""
EventBridge: targets that cannot be reached, retries of functions, and dead-letter queues of rules.

MiniStack 1.5.33 invokes a function once, without Lambda's retries and its dead-letter queue, whatever the function's
policy says, and drops what a target refuses.

AWS invokes functions asynchronously, asks the target's policy, and puts what cannot be delivered into the target's
dead-letter queue, with the reason in its attributes (EventBridge user guide, "Using dead-letter queues to process
undelivered events", "Use resource-based policies").

It can go when a rule whose target is a deleted function fills its dead-letter queue.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from ministack.core import arn as arns
from ministack.core import iam_evaluator, responses
from ministack.services import eventbridge, lambda_svc, sqs

from local.aws import hooks, messages

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_SERVICE = "events.amazonaws.com"
_BATCH = 10


def install() -> None:
    """Replace the delivery to functions and guard the delivery to every target with its dead-letter queue."""
    hooks.require(eventbridge, "_pattern_event_view")
    hooks.require(sqs, "queue_policy_allows")
    for name in (
        "_get_func_record_for_ref",
        "_execution_record_for_config",
        "invoke_async_with_retry",
        "function_policy_for_arn",
    ):
        hooks.require(lambda_svc, name)
    hooks.replace(eventbridge, "_dispatch_to_lambda", _invoke_function)
    hooks.wrap(eventbridge, "_invoke_target", _guard_target)


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
            messages.deliver(queue, body, attributes)

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
