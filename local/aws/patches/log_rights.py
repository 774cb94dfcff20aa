"""
The resource on which rights to CloudWatch Logs are asked for.

MiniStack 1.5.33 asks for the bare log group, which no policy allows that ends in ``:*``.

AWS asks for every right on a group or a stream as ``log-group:GROUP:log-stream:STREAM``, the stream maybe empty
(CloudWatch Logs user guide, "Overview of managing access permissions to your CloudWatch Logs resources").

It can go when a role with ``logs:PutLogEvents`` on ``...:log-group:GROUP:*`` may write, and one with the bare ARN not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions, responses

from local.aws import hooks
from local.aws.json_service import ServiceError, action_of, fields_of

if TYPE_CHECKING:
    from collections.abc import Callable

_STREAM = ":log-stream:"
_BY_TAG_ARN = frozenset({"TagResource", "UntagResource", "ListTagsForResource"})


def install() -> None:
    """Name the stream in what is asked of IAM; tags belong to the group."""
    hooks.wrap(iam_actions, "extract_resource_arn", _resource_arn)
    hooks.wrap(iam_actions, "logs_service_context", _context)


def _resource_arn(inner: Callable[..., str]) -> Callable[..., str]:
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
    def context(action: str, body: bytes, resource_arn: str, region: str, account: str) -> dict[str, Any]:
        return inner(action, body, resource_arn.partition(_STREAM)[0], region, account)

    return context
