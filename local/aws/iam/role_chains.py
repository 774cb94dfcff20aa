"""
AssumeRole by the session of a role: an hour at most.

MiniStack gives any length. AWS refuses more than an hour to who comes with the credentials of an assumed role, whatever
the role's own longest session (STS API reference, "AssumeRole", DurationSeconds).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ministack.services import sts

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_S = 3600
_TOO_LONG = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"


def install() -> None:
    """Refuse longer ones."""
    hooks.require(sts, "_caller_identity")
    hooks.wrap(sts, "handle_request", _measuring)


def _measuring(inner: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        asked = _parameters(headers, body)
        if asked.get("Action") == "AssumeRole" and int(asked.get("DurationSeconds") or 0) > LONGEST_S:
            caller = sts._caller_identity(headers, query)
            if isinstance(caller, dict) and caller["principalType"] == "AssumedRole":
                return sts._error(400, "ValidationError", _TOO_LONG, ns="sts")
        return await inner(method, path, headers, body, query)

    return handle


def _parameters(headers: Any, body: bytes) -> dict[str, str]:
    text = body.decode(errors="replace")
    if "amz-json" in headers.get("content-type", ""):
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        return {"Action": action, **{name: str(value) for name, value in json.loads(text or "{}").items()}}
    return {name: values[0] for name, values in parse_qs(text).items()}
