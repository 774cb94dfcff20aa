"""One call to an AWS service that speaks JSON, and what its answer means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.contract.aws_errors import TRANSIENT
from meshcert.errors import AwsRefused, AwsUnavailable, IdentityMissing, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_TIMEOUT_S = 3.0
"""Longest wait for each of connection, signature and answer, seconds; an answer takes tens of milliseconds."""

FRESH_ROLE_CODES = frozenset(
    # The last two are Amazon S3's.
    {
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "AccessDenied",
        "InvalidAccessKeyId",
    }
)
"""Refusals that a role or session which is only seconds old may still meet."""

_LONGEST_TEXT = 1024
"""Of an error's code and message; longer ones would only fill the log."""
_SERVER_ERROR = 500
_OK = 200


class JsonConnection(Protocol):
    """Carries a request; :class:`entrypoint.aws.signed_connection.SignedConnection` in the container."""

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Status and body of the answer; ConnectionError if there is none."""


class JsonService:
    """
    One AWS service.

    Args:
        name: The service's name in IAM actions, for example ``secretsmanager``.
        target: The part before the operation in ``X-Amz-Target``.
        version: The version of AWS's JSON protocol: ``1.0`` or ``1.1``.
    """

    def __init__(self, name: str, target: str, version: str) -> None:
        self._name = name
        self._target = target
        self._version = version

    def call(
        self,
        connection: JsonConnection,
        operation: str,
        resource: str,
        question: Mapping[str, Any],
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        """
        The answer to one call, without retries; for those see :mod:`entrypoint.aws.retrying`.

        Args:
            connection: To the service's endpoint in this region.
            operation: For example ``GetSecretValue``.
            resource: The secret or table that the call is about, for error messages.
            timeout_s: Longest wait for each of credentials, signature, connection and answer, seconds.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS refuses.
            IdentityMissing: If there is no such resource.
        """
        headers = [
            ("Content-Type", f"application/x-amz-json-{self._version}"),
            ("X-Amz-Target", f"{self._target}.{operation}"),
        ]
        action = f"{self._name}:{operation}"
        try:
            status, body = connection.post(headers, json.dumps(question).encode(), timeout_s)
        except ConnectionError as error:
            raise AwsUnavailable(action, resource, str(error)) from error
        try:
            answer = read_json(body)
        except JsonInvalid:
            answer = None
        if status == _OK and isinstance(answer, dict):
            return answer
        raise error_of(action, resource, status, answer)


def error_of(action: str, resource: str, status: int, answer: Any) -> MeshcertError:
    """
    The error that a failed call's answer stands for.

    Args:
        action: The call's IAM action.
        resource: The secret or table that it was about.
        answer: The decoded body; anything but a JSON object counts as unreadable.
    """
    if not isinstance(answer, dict):
        return AwsUnavailable(action, resource, f"HTTP {status} with a body that is no JSON object")
    code = str(answer.get("__type", ""))[:_LONGEST_TEXT].rpartition("#")[2].partition(":")[0]
    message = str(answer.get("message") or answer.get("Message") or "")[:_LONGEST_TEXT]
    if status >= _SERVER_ERROR or code in TRANSIENT or not code:
        return AwsUnavailable(action, resource, code or f"HTTP {status}")
    if code == "ResourceNotFoundException":
        return IdentityMissing(resource, "Deploy the identities stack into this account and region first")
    return AwsRefused(action, resource, code, message)
