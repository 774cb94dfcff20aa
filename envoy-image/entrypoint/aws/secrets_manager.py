"""The two questions this container asks AWS Secrets Manager."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from meshcert.contract.aws_errors import TRANSIENT
from meshcert.contract.staging_labels import CURRENT, QUARANTINED
from meshcert.errors import AwsRefused, AwsUnavailable, IdentityMissing, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST_TIMEOUT_S = 3.0
"""For each of connection, signature and answer, seconds; an answer takes tens of milliseconds."""

FRESH_ROLE_CODES = frozenset({"AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"})
"""Refusals that a role or session made seconds ago may still meet."""

_SERVER_ERROR = 500
_OK = 200


class Connection(Protocol):
    """What carries a request; :class:`entrypoint.aws.signed_connection.SignedConnection` in the container."""

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Status and body of the answer; ConnectionError if there is none."""


class SecretVersion(NamedTuple):
    """
    One version of a secret.

    Args:
        version_id: Its VersionId.
        text: Its SecretString; not shown by ``repr``.
        quarantined: Whether its rollout failed.
    """

    version_id: str
    text: str
    quarantined: bool = False

    def __repr__(self) -> str:
        return f"<SecretVersion {self.version_id}>"


class Versions(NamedTuple):
    """
    Where a secret's labels stand.

    Args:
        current: VersionId that AWSCURRENT stands on; empty if on none.
        quarantined: VersionIds whose rollout failed.
    """

    current: str
    quarantined: frozenset[str] = frozenset()


class SecretsManager:
    """
    Reads secrets. Nothing is repeated here: see :mod:`entrypoint.aws.retrying`.

    Args:
        connection: To the region's endpoint.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def versions(self, secret: str) -> Versions:
        """
        Where its labels stand (secretsmanager:DescribeSecret); the value is not read.

        Args:
            secret: ARN or name.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS says no.
            IdentityMissing: If there is no such secret.
        """
        answer = self._call("DescribeSecret", secret, {"SecretId": secret})
        stages: dict[str, Sequence[str]] = answer.get("VersionIdsToStages") or {}
        return Versions(
            next((version for version, labels in stages.items() if CURRENT in labels), ""),
            frozenset(version for version, labels in stages.items() if QUARANTINED in labels),
        )

    def current_value(self, secret: str) -> SecretVersion:
        """
        The version that AWSCURRENT stands on (secretsmanager:GetSecretValue).

        Args:
            secret: ARN or name.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS says no.
            IdentityMissing: If there is no such secret, or no current version.
        """
        answer = self._call("GetSecretValue", secret, {"SecretId": secret, "VersionStage": CURRENT})
        version, text = answer.get("VersionId"), answer.get("SecretString")
        if not isinstance(version, str) or not isinstance(text, str):
            raise AwsUnavailable("secretsmanager:GetSecretValue", secret, "the answer has no SecretString")
        labels = answer.get("VersionStages")
        return SecretVersion(version, text, isinstance(labels, list) and QUARANTINED in labels)

    def _call(self, operation: str, secret: str, question: dict[str, Any]) -> dict[str, Any]:
        headers = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", f"secretsmanager.{operation}")]
        try:
            status, body = self._connection.post(headers, json.dumps(question).encode(), REQUEST_TIMEOUT_S)
        except ConnectionError as error:
            raise AwsUnavailable(f"secretsmanager:{operation}", secret, str(error)) from error
        return read_answer(f"secretsmanager:{operation}", secret, status, body)


def read_answer(operation: str, resource: str, status: int, body: bytes) -> dict[str, Any]:
    """
    What AWS answers, if that is a good answer.

    Args:
        operation: The call.
        resource: What it was about: a secret or a table.
        status: HTTP status.
        body: JSON, if AWS itself answers.

    Raises:
        AwsUnavailable: If AWS cannot answer now.
        AwsRefused: If AWS says no.
        IdentityMissing: If there is no such resource.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None  # the parser's message would quote the body
    if status == _OK and isinstance(answer, dict):
        return answer
    raise error_of(operation, resource, status, answer)


def error_of(operation: str, resource: str, status: int, answer: Any) -> MeshcertError:
    """
    What an answer other than a good one means.

    Args:
        operation: The call.
        resource: What it was about: a secret or a table.
        status: HTTP status.
        answer: The decoded body; anything but an object counts as garbage.
    """
    if not isinstance(answer, dict):
        return AwsUnavailable(operation, resource, f"HTTP {status} with a body that is no JSON object")
    code = str(answer.get("__type", "")).rpartition("#")[2].partition(":")[0]
    message = str(answer.get("message") or answer.get("Message") or "")
    if status >= _SERVER_ERROR or code in TRANSIENT or not code:
        return AwsUnavailable(operation, resource, code or f"HTTP {status}")
    if code == "ResourceNotFoundException":
        return IdentityMissing(resource, "Deploy the identities stack into this account and region first")
    return AwsRefused(operation, resource, code, message)
