"""Which requests a route takes, in Envoy's fields (``route.v3.RouteMatch``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.routes import HeaderCondition, MatchKind

if TYPE_CHECKING:
    from meshcert.envoy.api import Json
    from meshcert.proxy import Route
    from meshcert.routes import QueryCondition

HTTP_PORT = 80
"""The port that a request means which names none (RFC 9110, 4.2.1)."""
MOST_REGEX_PROGRAM = 65_536
"""
Size of a compiled regular expression that Envoy takes (``re2.max_program_size.error_level``).

Its default of 100 is less than App Mesh's 255 characters need. RE2 takes time in proportion to the text, whatever the
expression, and memory in proportion to this.
"""


def route_match(route: Route) -> Json:
    """A route's conditions: one for the path, and all others."""
    conditions = route.conditions
    match: Json = {"prefix": route.prefix or "/"}
    if conditions.path:
        match = {"path": conditions.path}
    elif conditions.regex:
        match = {"safe_regex": {"regex": conditions.regex}}
    headers = list(conditions.headers)
    if conditions.method:
        headers.append(HeaderCondition(":method", MatchKind.EXACT, conditions.method))
    if conditions.scheme:
        headers.append(HeaderCondition(":scheme", MatchKind.EXACT, conditions.scheme))
    if conditions.port:
        headers.append(_port_named(conditions.port))
    if route.rewriting.prefix and not route.rewriting.prefix.endswith("/"):
        headers.append(_no_dots_behind(route.rewriting.prefix))
    if headers:
        match["headers"] = [_header(header) for header in headers]
    if conditions.query_parameters:
        match["query_parameters"] = [_query_parameter(parameter) for parameter in conditions.query_parameters]
    if conditions.grpc:
        match["grpc"] = {}
    return match


def _port_named(port: int) -> HeaderCondition:
    """The port in the host that an application names."""
    if port == HTTP_PORT:
        return HeaderCondition(":authority", MatchKind.REGEX, f"[^:]*(:{HTTP_PORT})?")
    return HeaderCondition(":authority", MatchKind.SUFFIX, f":{port}")


def _no_dots_behind(prefix: str) -> HeaderCondition:
    """
    No dots alone behind a prefix that is rewritten.

    ``/chapter../x`` is a plain path, but rewritten it would be ``/../x``, which an application, or the Envoy before it,
    resolves to a path that no route has judged.
    """
    return HeaderCondition(":path", MatchKind.REGEX, rf"{re.escape(prefix)}\.\.?([/?].*)?", invert=True)


def _header(condition: HeaderCondition) -> Json:
    """``route.v3.HeaderMatcher``. Without the header none matches but the inverse of its presence."""
    match condition.kind:
        case MatchKind.PRESENT:
            matcher: Json = {"present_match": True}
        case MatchKind.RANGE:
            matcher = {"range_match": {"start": condition.start, "end": condition.end}}
        case MatchKind.REGEX:
            matcher = {"string_match": {"safe_regex": {"regex": condition.value}}}
        case _:
            matcher = {"string_match": {condition.kind.value: condition.value}}
    return {"name": condition.name, **matcher, **({"invert_match": True} if condition.invert else {})}


def _query_parameter(condition: QueryCondition) -> Json:
    """``route.v3.QueryParameterMatcher``."""
    matcher: Json = {"string_match": {"exact": condition.exact}} if condition.exact else {"present_match": True}
    return {"name": condition.name, **matcher}
