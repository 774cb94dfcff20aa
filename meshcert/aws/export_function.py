"""The export function, called and waited for."""

from __future__ import annotations

import json
from typing import Any

from meshcert.aws._errors import aws_errors
from meshcert.errors import AwsUnavailable, ExportFailed, NotReady

_OPERATION = "lambda:Invoke"
# It ran out of time or memory, or its process ended; AWS's own failures besides (Lambda developer guide, "Invocation
# errors"). Older functions' time-outs have no errorType at all.
_CRASHES = frozenset({"", "Runtime.ExitError", "Runtime.Unknown", "Sandbox.Failure", "Sandbox.Timedout"})


class ExportFunction:
    """
    :class:`meshcert.lifecycle.ports.Exporter`.

    Args:
        client: boto3's ``lambda`` client. Its read timeout has to be longer than the function may run; botocore
            repeats a call that timed out, and the function then runs twice at a time.
        function_name: Name or ARN of the function.
    """

    def __init__(self, client: Any, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def export(self, identity: str, version: str) -> str:
        """See :meth:`meshcert.lifecycle.ports.Exporter.export`."""
        answer = self._invoke(identity, {"identity": identity, "version": version})
        published = answer.get("version_id")
        if not isinstance(published, str) or not published:
            raise ExportFailed(identity, "UnexpectedAnswer", f"the answer names no version: {sorted(answer)}")
        return published

    def verify(self, identity: str) -> dict[str, Any]:
        """
        What the function says of the version that an identity's proxies read.

        Args:
            identity: Its name.

        Returns:
            ``subject``, ``version_id``, ``serial_number``, ``not_after`` and ``faults``; no material.

        Raises:
            ExportFailed: With the reason the function gave.
            AwsUnavailable: If the function did not answer, or said that it heals by itself.
        """
        return self._invoke(identity, {"verify": identity})

    def _invoke(self, identity: str, event: dict[str, str]) -> dict[str, Any]:
        with aws_errors(_OPERATION, self._function_name):
            answer = self._client.invoke(
                FunctionName=self._function_name,
                InvocationType="RequestResponse",
                Payload=json.dumps(event).encode(),
            )
            payload = _read(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise self._failure(identity, payload)
        return payload

    def _failure(self, identity: str, payload: dict[str, Any]) -> AwsUnavailable | ExportFailed:
        error, message = (str(payload.get(field, "")) for field in ("errorType", "errorMessage"))
        if error in _CRASHES or error in _NOT_READY:
            return AwsUnavailable(_OPERATION, self._function_name, f"{error or 'no answer'}: {message}")
        return ExportFailed(identity, error, message)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _names(kind: type[Exception]) -> set[str]:
    return {kind.__name__}.union(*(_names(below) for below in kind.__subclasses__()))


_NOT_READY = _names(NotReady)
