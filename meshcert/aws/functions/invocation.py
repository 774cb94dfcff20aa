"""Calls another function of the mesh and waits for its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.bounded_json import MOST_BYTES, JsonInvalid, read_json
from meshcert.errors import AwsUnavailable, MeshcertError, NotReady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPERATION = "lambda:Invoke"
# The function ran out of time or memory, its process ended, or Lambda failed (Lambda developer guide, "Invocation
# errors"). Time-outs of older functions have no errorType at all.
_CRASHES = frozenset({"", "Runtime.ExitError", "Runtime.Unknown", "Sandbox.Failure", "Sandbox.Timedout"})


def call(
    client: Any, function_name: str, event: Mapping[str, str], refusal: Callable[[str, str], MeshcertError]
) -> dict[str, Any]:
    """
    Call a function, and return its answer.

    Args:
        client: boto3's ``lambda`` client. Its read timeout must be longer than the function may run: botocore repeats a
            call that timed out, and two runs of the function would then overlap.
        refusal: Makes the error to raise from the name and the message of the error that the function raised.

    Raises:
        AwsUnavailable: If the function did not answer, or raised an error that heals by itself.
        MeshcertError: Made by ``refusal``, or if AWS refuses the call.
    """
    with aws_errors(_OPERATION, function_name):
        answer = client.invoke(
            FunctionName=function_name, InvocationType="RequestResponse", Payload=json.dumps(event).encode()
        )
        payload = _read(answer["Payload"].read(MOST_BYTES + 1))
    if not answer.get("FunctionError"):
        return payload
    error, message = (str(payload.get(field, "")) for field in ("errorType", "errorMessage"))
    if error in _CRASHES or error in _NOT_READY:
        raise AwsUnavailable(_OPERATION, function_name, f"{error or 'no answer'}: {message}")
    raise refusal(error, message)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        document = read_json(payload)
    except JsonInvalid:
        return {}
    return document if isinstance(document, dict) else {}


def _names(kind: type[Exception]) -> set[str]:
    return {kind.__name__}.union(*(_names(below) for below in kind.__subclasses__()))


_NOT_READY = _names(NotReady)
