"""
Who has sent a message, how long it may be delayed, and the rights on batches.

MiniStack 1.5.33 names the account as the sender of every message, takes any delay, and asks IAM for rights on batches
that IAM does not know.

AWS tells SenderId, RoleId:SessionName for a role, to receivers and to functions (SQS API reference, "ReceiveMessage"),
refuses a DelaySeconds above 900 ("SendMessage"), and asks for the right on one message (service authorization
reference, "Actions, resources, and condition keys for Amazon SQS").

It can go when ReceiveMessage shows a role's id as SenderId, and SendMessage with 901 seconds is refused.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import iam_actions, router
from ministack.services import lambda_svc, sqs

from local.aws import hooks
from local.aws.iam import service_roles

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response, ServiceHandler

LONGEST_DELAY_S = 900
_BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
_TOLD_TO_FUNCTIONS = ("SenderId", "AWSTraceHeader", "DeadLetterQueueSourceArn")

_sender: contextvars.ContextVar[str] = contextvars.ContextVar("sqs_sender", default="")


def install() -> None:
    """Note who sends and tell it, and refuse long delays."""
    handlers = hooks.require(gateway, "SERVICE_HANDLERS")
    handlers["sqs"] = _noting_the_sender(handlers["sqs"])
    hooks.wrap(iam_actions, "extract_iam_action", _right_for_one)
    hooks.wrap(sqs, "_build_send_sys_attrs", _with_sender)
    hooks.wrap(sqs, "_act_send_message", _limit_delay)
    hooks.require(sqs, "_HANDLERS")["SendMessage"] = sqs._act_send_message
    hooks.wrap(lambda_svc, "_run_sqs_batch", _with_system_attributes)


def _noting_the_sender(inner: ServiceHandler) -> ServiceHandler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        _sender.set(service_roles.user_id(router.extract_access_key_id(headers, query)))
        return await inner(method, path, headers, body, query)

    return handle


def _right_for_one(inner: Callable[..., str]) -> Callable[..., str]:
    def action_of(*request: Any, **more: Any) -> str:
        action = inner(*request, **more)
        return _BATCHES.get(action, action)

    return action_of


def _with_sender(inner: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    def build(now: float, given: dict[str, Any]) -> dict[str, str]:
        attributes = inner(now, given)
        return {**attributes, "SenderId": _sender.get() or attributes["SenderId"]}

    return build


def _limit_delay(inner: Callable[[dict[str, Any], str], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def send(call: dict[str, Any], url: str) -> dict[str, Any]:
        delay = call.get("DelaySeconds")
        if delay is not None and not 0 <= int(delay) <= LONGEST_DELAY_S:
            raise sqs._Err(
                "InvalidParameterValue",
                f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= "
                f"{LONGEST_DELAY_S}.",
            )
        return inner(call, url)

    return send


def _with_system_attributes(inner: Callable[..., None]) -> Callable[..., None]:
    def run(mapping: Any, function: Any, event: dict[str, Any], batch: list[dict[str, Any]], *queue: str) -> None:
        known = {message["id"]: message.get("sys") or {} for message in batch}
        for record in event["Records"]:
            attributes = known.get(record["messageId"], {})
            record["attributes"].update({name: attributes[name] for name in _TOLD_TO_FUNCTIONS if attributes.get(name)})
        inner(mapping, function, event, batch, *queue)

    return run
