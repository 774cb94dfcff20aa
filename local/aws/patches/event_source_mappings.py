"""
What Lambda requires of an event source mapping from a queue.

MiniStack 1.5.33 creates a mapping whatever the function's role may do and however the queue is set up, and goes on
taking messages when the role has lost its rights.

AWS requires the three rights on the queue, a visibility timeout no shorter than the function's timeout, a batching
window for batches above 10, and one mapping for a queue and a function (Lambda developer guide, "Using Lambda with
Amazon SQS"; API reference, "CreateEventSourceMapping").

It can go when CreateEventSourceMapping is refused to a function whose role has no sqs:ReceiveMessage.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core import responses
from ministack.services import lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.iam import service_roles
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response

_LARGEST_BATCH_WITHOUT_WINDOW = 10
_DEFAULT_FUNCTION_TIMEOUT_S = 3
_DEFAULT_VISIBILITY_S = 30
_RIGHTS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_TYPE = "AWS::Lambda::EventSourceMapping"


def install() -> None:
    """Check mappings, be they made through the API or by CloudFormation, and each time before messages are taken."""
    for name in ("_get_func_record_for_qualifier", "_esms", "_validate_scaling_config", "_resolve_name_and_qualifier"):
        hooks.require(lambda_svc, name)
    hooks.require(sqs, "_queue_by_arn")
    hooks.wrap(lambda_svc, "_create_esm", _checked_create)
    hooks.wrap(lambda_svc, "_update_esm", _checked_update)
    hooks.wrap(lambda_svc, "_sqs_esm_concurrency", _none_without_rights)
    mapping = hooks.require(provisioners, "_RESOURCE_HANDLERS")[_TYPE]
    mapping["create"] = _provisioned_create(mapping["create"])
    mapping["update"] = _provisioned_update(mapping["update"])


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
    """Fail the resource with the API's reason."""
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
    Check a mapping from a queue as Lambda does.

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
