"""CloudWatch Logs: filter patterns that filter, and rights on a log group as AWS asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import iam_actions, responses
from ministack.services import cloudwatch_logs

from local.aws import hooks
from local.aws.json_service import ServiceError, action_of, fields_of
from local.aws.patches.log_patterns import PatternInvalidError, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config
    from local.aws.json_service import Response, ServiceHandler

_STREAM = ":log-stream:"
_PATTERNED = frozenset({"FilterLogEvents", "PutSubscriptionFilter", "PutMetricFilter"})
_BY_TAG_ARN = frozenset({"TagResource", "UntagResource", "ListTagsForResource"})


def install(config: Config) -> None:
    """Replace MiniStack's matching, refuse bad patterns, and name the stream in what is asked of IAM."""
    del config
    hooks.replace(cloudwatch_logs, "_compile_filter_pattern", compile_pattern)
    hooks.replace(cloudwatch_logs, "_subscription_pattern_matches", _matches)
    hooks.wrap(iam_actions, "extract_resource_arn", _resource_arn)
    hooks.wrap(iam_actions, "logs_service_context", _context)
    handlers = hooks.require(gateway, "SERVICE_HANDLERS")
    handlers["logs"] = _with_patterns(handlers["logs"])


def _matches(pattern: str, message: str) -> bool:
    return bool(compile_pattern(pattern)(message or ""))


def _with_patterns(inner: ServiceHandler) -> ServiceHandler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        if action_of(headers) in _PATTERNED:
            try:
                compile_pattern(fields_of(body).get("filterPattern"))
            except PatternInvalidError as error:
                return ServiceError("InvalidParameterException", str(error)).response()
            except ServiceError as error:
                return error.response()
        return await inner(method, path, headers, body, query)

    return handle


def _resource_arn(inner: Callable[..., str]) -> Callable[..., str]:
    """
    Every right on a group or a stream is asked for as ``log-group:GROUP:log-stream:STREAM``, the stream maybe empty.

    A policy must therefore end in ``:*``, as AWS's does ("Overview of managing access permissions to your CloudWatch
    Logs resources", CloudWatch Logs user guide); MiniStack asks for the bare group, which no such policy allows.
    """

    def extract(service: str, method: str, path: str, headers: dict[str, str], body: bytes, *more: Any) -> str:
        if service != "logs" or action_of(headers) in _BY_TAG_ARN:
            return inner(service, method, path, headers, body, *more)
        try:
            request = fields_of(body)
        except ServiceError:
            return "*"
        group = request.get("logGroupName") or request.get("logGroupIdentifier")
        if not group:
            return inner(service, method, path, headers, body, *more)
        name = str(group).partition(":log-group:")[2].removesuffix(":*") or group
        place = f"arn:aws:logs:{responses.get_region()}:{responses.get_account_id()}:log-group:{name}"
        return f"{place}{_STREAM}{request.get('logStreamName') or ''}"

    return extract


def _context(inner: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Tags belong to the group."""

    def context(action: str, body: bytes, resource_arn: str, region: str, account: str) -> dict[str, Any]:
        return inner(action, body, resource_arn.partition(_STREAM)[0], region, account)

    return context
