"""A function of ours, called and waited for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.errors import AwsUnavailable, MeshcertError, NotReady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPERATION = "lambda:Invoke"
# It ran out of time or memory, or its process ended; AWS's own failures besides (Lambda developer guide, "Invocation
# errors"). Older functions' time-outs have no errorType at all.
_CRASHES = frozenset({"", "Runtime.ExitError", "Runtime.Unknown", "Sandbox.Failure", "Sandbox.Timedout"})


def call(
    client: Any, function_name: str, event: Mapping[str, str], refusal: Callable[[str, str], MeshcertError]
) -> dict[str, Any]:
    """
    A function's answer.

    Args:
        client: boto3's ``lambda`` client. Its read timeout has to be longer than the function may run; botocore
            repeats a call that timed out, and the function then runs twice at a time.
        function_name: Name or ARN of the function.
        event: What it is asked.
        refusal: Makes our error of the name and the message of one that the function raised.

    Raises:
        AwsUnavailable: If the function did not answer, or said that it heals by itself.
        MeshcertError: What ``refusal`` makes, or what AWS says of the call.
    """
    with aws_errors(_OPERATION, function_name):
        answer = client.invoke(
            FunctionName=function_name, InvocationType="RequestResponse", Payload=json.dumps(event).encode()
        )
        payload = _read(answer["Payload"].read())
    if not answer.get("FunctionError"):
        return payload
    error, message = (str(payload.get(field, "")) for field in ("errorType", "errorMessage"))
    if error in _CRASHES or error in _NOT_READY:
        raise AwsUnavailable(_OPERATION, function_name, f"{error or 'no answer'}: {message}")
    raise refusal(error, message)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _names(kind: type[Exception]) -> set[str]:
    return {kind.__name__}.union(*(_names(below) for below in kind.__subclasses__()))


_NOT_READY = _names(NotReady)
