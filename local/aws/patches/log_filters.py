"""
CloudWatch Logs' filter patterns.

MiniStack 1.5.33 takes every JSON condition for one that matches all lines, and knows no pattern that is malformed.

AWS evaluates conditions and refuses what it cannot read with InvalidParameterException (CloudWatch Logs user guide,
"Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail").

It can go when FilterLogEvents with ``{ $.level = "error" }`` finds the lines with that level and no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.services import cloudwatch_logs

from local.aws import hooks
from local.aws.json_service import ServiceError, action_of, fields_of
from local.aws.log_patterns import PatternInvalidError, compile_pattern

if TYPE_CHECKING:
    from local.aws.json_service import Response, ServiceHandler

_PATTERNED = frozenset({"FilterLogEvents", "PutSubscriptionFilter", "PutMetricFilter"})


def install() -> None:
    """Replace MiniStack's matching, and refuse malformed patterns."""
    hooks.replace(cloudwatch_logs, "_compile_filter_pattern", compile_pattern)
    hooks.replace(cloudwatch_logs, "_subscription_pattern_matches", _matches)
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
