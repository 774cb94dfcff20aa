"""
SQS and its event source mappings where MiniStack is laxer than AWS: senders, delays, and what a mapping requires.

Sources: SQS API reference (SendMessage, ReceiveMessage); Lambda developer guide, "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

import contextvars
import json
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import iam_actions, responses, router
from ministack.services import lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.iam import service_roles
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config
    from local.aws.json_service import Response, ServiceHandler

LONGEST_DELAY_S = 900
_LARGEST_BATCH_WITHOUT_WINDOW = 10
_DEFAULT_FUNCTION_TIMEOUT_S = 3
_DEFAULT_VISIBILITY_S = 30
_RIGHTS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
_TYPE = "AWS::Lambda::EventSourceMapping"
_TOLD_TO_FUNCTIONS = ("SenderId", "AWSTraceHeader", "DeadLetterQueueSourceArn")

_sender: contextvars.ContextVar[str] = contextvars.ContextVar("sqs_sender", default="")


def install(config: Config) -> None:
    """Note who sends, refuse long delays, and check mappings, be they made through the API or by CloudFormation."""
    del config
    for name in ("_get_func_record_for_qualifier", "_esms", "_validate_scaling_config", "_sqs_esm_concurrency"):
        hooks.require(lambda_svc, name)
    handlers = hooks.require(gateway, "SERVICE_HANDLERS")
    handlers["sqs"] = _noting_the_sender(handlers["sqs"])
    hooks.wrap(iam_actions, "extract_iam_action", _right_for_one)
    hooks.wrap(sqs, "_build_send_sys_attrs", _with_sender)
    hooks.wrap(sqs, "_act_send_message", _limit_delay)
    hooks.require(sqs, "_HANDLERS")["SendMessage"] = sqs._act_send_message
    hooks.wrap(lambda_svc, "_create_esm", _checked_create)
    hooks.wrap(lambda_svc, "_update_esm", _checked_update)
    hooks.wrap(lambda_svc, "_sqs_esm_concurrency", _none_without_rights)
    hooks.wrap(lambda_svc, "_run_sqs_batch", _with_system_attributes)
    mapping = hooks.require(provisioners, "_RESOURCE_HANDLERS")[_TYPE]
    mapping["create"] = _provisioned_create(mapping["create"])
    mapping["update"] = _provisioned_update(mapping["update"])


def _noting_the_sender(inner: ServiceHandler) -> ServiceHandler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        _sender.set(service_roles.user_id(router.extract_access_key_id(headers, query)))
        return await inner(method, path, headers, body, query)

    return handle


def _right_for_one(inner: Callable[..., str]) -> Callable[..., str]:
    """IAM knows no rights for batches: the right for one message counts (service authorization reference, SQS)."""

    def action_of(*request: Any, **more: Any) -> str:
        action = inner(*request, **more)
        return _BATCHES.get(action, action)

    return action_of


def _with_sender(inner: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """SenderId is the sender's user id: RoleId:SessionName for a role. MiniStack answers the account for everybody."""

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
    """A function sees the attributes that ReceiveMessage would show; MiniStack names the account as every sender."""

    def run(mapping: Any, function: Any, event: dict[str, Any], batch: list[dict[str, Any]], *queue: str) -> None:
        known = {message["id"]: message.get("sys") or {} for message in batch}
        for record in event["Records"]:
            attributes = known.get(record["messageId"], {})
            record["attributes"].update({name: attributes[name] for name in _TOLD_TO_FUNCTIONS if attributes.get(name)})
        inner(mapping, function, event, batch, *queue)

    return run


def _none_without_rights(inner: Callable[..., int]) -> Callable[..., int]:
    """A mapping whose function role has lost a right takes no more messages."""

    def concurrency(mapping: Any, function: dict[str, Any], config: Any, queue: dict[str, Any] | None = None) -> int:
        try:
            _require_rights(function, (queue or {}).get("attributes", {}).get("QueueArn", ""))
        except ServiceError:
            return 0
        return inner(mapping, function, config, queue)

    return concurrency


def _checked_create(inner: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    def create(call: dict[str, Any]) -> Response:
        try:
            _require_mapping(call)
            _require_single(call)
        except ServiceError as error:
            return error.response()
        return inner(call)

    return create


def _checked_update(inner: Callable[[str, dict[str, Any]], Response]) -> Callable[[str, dict[str, Any]], Response]:
    def update(uuid: str, call: dict[str, Any]) -> Response:
        mapping = lambda_svc._esms.get(uuid)
        try:
            if mapping is not None:
                _require_mapping({**mapping, **call})
        except ServiceError as error:
            return error.response()
        return inner(uuid, call)

    return update


def _provisioned_create(inner: Callable[..., Any]) -> Callable[..., Any]:
    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        properties = _with_numbers(properties)
        _require_valid(properties)
        try:
            _require_single(properties)
        except ServiceError as error:
            raise ValueError(error.message) from error
        return inner(logical_id, properties, stack)

    return create


def _provisioned_update(inner: Callable[..., Any]) -> Callable[..., Any]:
    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *more: Any) -> Any:
        new = _with_numbers(new)
        _require_valid(new)
        return inner(physical_id, old, new, *more)

    return update


def _require_valid(properties: dict[str, Any]) -> None:
    """What the API refuses fails the resource, and says why."""
    refusal = lambda_svc._validate_scaling_config(properties, properties.get("EventSourceArn", ""))
    if refusal:
        raise ValueError(json.loads(refusal[2]).get("message") or str(refusal[2]))
    try:
        _require_mapping(properties)
    except ServiceError as error:
        raise ValueError(error.message) from error


def _with_numbers(properties: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's parameters are text, also where a number is meant."""
    scaling = properties.get("ScalingConfig")
    numbers: dict[str, Any] = {
        name: int(properties[name])
        for name in ("BatchSize", "MaximumBatchingWindowInSeconds")
        if properties.get(name) is not None
    }
    if scaling and scaling.get("MaximumConcurrency") is not None:
        numbers["ScalingConfig"] = {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}
    return {**properties, **numbers}


def _require_mapping(mapping: dict[str, Any]) -> None:
    """
    What Lambda requires of a mapping from a queue.

    Raises:
        ServiceError: InvalidParameterValueException, in Lambda's words.
    """
    arn = str(mapping.get("EventSourceArn", ""))
    queue = sqs._queue_by_arn(arn) if ":sqs:" in arn else None
    function = _function(str(mapping.get("FunctionName", "")))
    if queue is None or function is None:
        return
    size, window = int(mapping.get("BatchSize") or 0), int(mapping.get("MaximumBatchingWindowInSeconds") or 0)
    if size > _LARGEST_BATCH_WITHOUT_WINDOW and not window:
        raise _invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than "
            f"{_LARGEST_BATCH_WITHOUT_WINDOW}"
        )
    _require_rights(function, arn)
    timeout = int(function["config"].get("Timeout") or _DEFAULT_FUNCTION_TIMEOUT_S)
    visibility = int(queue["attributes"].get("VisibilityTimeout", _DEFAULT_VISIBILITY_S))
    if visibility < timeout:
        raise _invalid(
            f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
        )


def _require_single(mapping: dict[str, Any]) -> None:
    arn, function = str(mapping.get("EventSourceArn", "")), _function(str(mapping.get("FunctionName", "")))
    name = function["config"]["FunctionName"] if function else ""
    for uuid, other in lambda_svc._esms.items():
        if other["EventSourceArn"] == arn and other["FunctionName"] == name:
            raise ServiceError(
                "ResourceConflictException",
                f"An event source mapping with SQS arn ({arn}) and function ({name}) already exists. Please update or "
                f"delete the existing mapping with UUID {uuid}",
            )


def _require_rights(function: dict[str, Any], queue_arn: str) -> None:
    config = function["config"]
    session = (str(config.get("Role", "")), str(config.get("FunctionName", "")), "lambda.amazonaws.com")
    keys = {"aws:SourceArn": str(config.get("FunctionArn", "")), "aws:SourceAccount": responses.get_account_id()}
    try:
        service_roles.require_rights(session, [(action, queue_arn) for action in _RIGHTS], keys)
    except service_roles.Denied as error:
        name = error.action.rpartition(":")[2]
        message = f"The function execution role does not have permissions to call {name} on SQS"
        raise _invalid(message) from error


def _function(reference: str) -> dict[str, Any] | None:
    name, qualifier = lambda_svc._resolve_name_and_qualifier(reference)
    record, _ = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    function: dict[str, Any] | None = record
    return function


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message)
