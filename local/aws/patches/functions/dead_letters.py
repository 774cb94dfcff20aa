"""
What a function's dead-letter queue gets.

MiniStack 1.5.33 puts the envelope of an OnFailure destination into it.

AWS puts the event itself, with RequestID, ErrorCode and ErrorMessage as message attributes (Lambda developer guide,
"Adding a dead-letter queue").

It can go when the body in the dead-letter queue of a failing function is its event.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc

from local.aws import hooks, messages

if TYPE_CHECKING:
    from collections.abc import Callable


def install() -> None:
    """Stand between a function that has failed and where its failures go."""
    hooks.require(lambda_svc, "_functions")
    hooks.wrap(lambda_svc, "_route_async_failure", _dead_letter)


def _dead_letter(inner: Callable[..., None]) -> Callable[..., None]:
    def route(target_arn: str, name: str, event: Any, result: dict[str, Any]) -> None:
        config = (lambda_svc._functions.get(name) or {}).get("config", {})
        if ":sqs:" not in target_arn or (config.get("DeadLetterConfig") or {}).get("TargetArn") != target_arn:
            inner(target_arn, name, event, result)
            return
        body = result.get("body")
        message = str(body.get("errorMessage", "")) if isinstance(body, dict) else ""
        attributes = {"RequestID": str(uuid.uuid4()), "ErrorCode": "200", "ErrorMessage": message[:1024]}
        messages.deliver(target_arn, json.dumps(event), attributes)

    return route
