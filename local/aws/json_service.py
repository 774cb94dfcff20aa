"""A service that speaks AWS's JSON protocol, made of one function per operation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ministack.core import responses

Response = tuple[int, dict[str, str], bytes]
Operation = Callable[[dict[str, Any]], dict[str, Any] | None]
ServiceHandler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]


class ServiceError(Exception):
    """
    What an operation answers instead of a result.

    Args:
        code: One of the operation's modelled errors, for example ``ResourceNotFoundException``.
        message: Names the thing and what is wrong with it.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")

    def response(self) -> Response:
        """The error in the JSON protocol, status 400."""
        answer: Response = responses.error_response_json(self.code, self.message, 400)
        return answer


def action_of(headers: dict[str, str]) -> str:
    """The operation that the request's ``X-Amz-Target`` names, or an empty string."""
    return headers.get("x-amz-target", "").rpartition(".")[2]


def fields_of(body: bytes) -> dict[str, Any]:
    """
    The fields of a request's body; none for an empty one.

    Raises:
        ServiceError: If the body is no JSON object.
    """
    try:
        fields = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", str(error)) from error
    if not isinstance(fields, dict):
        raise ServiceError("SerializationException", "the body is no JSON object")
    return fields


def handler(
    operations: Mapping[str, Operation],
    *,
    off_loop: frozenset[str] = frozenset(),
    fallback: ServiceHandler | None = None,
) -> ServiceHandler:
    """
    A MiniStack service handler for ``operations``.

    Operations run on the event loop, one after the other, so that they need no locks; those that make keys run on a
    worker thread, because an RSA key of 4096 bits would hold up everybody else for a second.

    Args:
        operations: By name; each takes the request's fields and returns the answer's, or None to leave the request to
            ``fallback``.
        off_loop: The names of those that run on a worker thread.
        fallback: Answers what ``operations`` does not.
    """

    async def handle(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
    ) -> Response:
        action = action_of(headers)
        operation = operations.get(action)
        answer: dict[str, Any] | None = None
        if operation is not None:
            try:
                request = fields_of(body)
                answer = await asyncio.to_thread(operation, request) if action in off_loop else operation(request)
            except ServiceError as error:
                return error.response()
        if answer is not None:
            result: Response = responses.json_response(answer)
            return result
        if fallback is not None:
            return await fallback(method, path, headers, body, query)
        return ServiceError("UnknownOperationException", f"no such operation: {action}").response()

    return handle
