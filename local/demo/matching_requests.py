"""A request that a route takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from meshcert.routes import MatchKind

if TYPE_CHECKING:
    from meshcert.proxy import Route
    from meshcert.routes import HeaderCondition

METHOD = "Ask"
"""The gRPC method that is called; a stand-in answers every one."""


class MatchingRequest(NamedTuple):
    """
    The parts of a request that routes look at.

    Args:
        path: With its query.
        headers: Names and values; a ``host`` takes the place of the usual one.
    """

    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()


def matching_request(route: Route, *, grpc: bool) -> MatchingRequest | None:
    """A request that meets a route's conditions; None where only the application's author can know one."""
    conditions = route.conditions
    headers = {
        each.name: _value(each) for each in conditions.headers if each.kind is not MatchKind.PRESENT or not each.invert
    }
    if conditions.regex or conditions.port or None in headers.values():
        return None
    path = conditions.path or route.prefix or "/"
    if grpc and not conditions.path:
        path += METHOD if path.endswith("/") else f"/{METHOD}"
    if conditions.query_parameters:
        path += "?" + urlencode({each.name: each.exact for each in conditions.query_parameters})
    if conditions.host or conditions.host_suffix:
        headers["host"] = conditions.host or f"any{conditions.host_suffix}"
    return MatchingRequest(
        path, conditions.method or "GET", tuple((name, value) for name, value in headers.items() if value is not None)
    )


def _value(condition: HeaderCondition) -> str | None:
    """A value that a header may have; None if none is known."""
    match condition.kind:
        case MatchKind.PRESENT:
            return "1"
        case MatchKind.EXACT | MatchKind.PREFIX | MatchKind.SUFFIX:
            return f"no-{condition.value}-" if condition.invert else condition.value
        case MatchKind.RANGE:
            return str(condition.end if condition.invert else condition.start)
        case MatchKind.REGEX:
            return None
