"""
A gateway route and the routes of the router behind it, as one.

App Mesh's gateway asked twice: its own routes, then, for the request as rewritten, the router's. Envoy asks once here,
so each pair becomes one route, with the conditions of both and the router's target.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.mesh.routing.regexes import has_alternatives, literal_beginning, matches_whole
from meshcert.routes import Conditions, HeaderCondition, MatchKind, Rewriting, beginning_of

if TYPE_CHECKING:
    from meshcert.proxy import Route


class NotComposable(Exception):
    """
    A gateway route by a regular expression leads to a route by one, or the second must be read from its middle.

    Args:
        why: A sentence without a full stop.
        remedy: What to do about it.
    """

    def __init__(self, why: str, remedy: str) -> None:
        self.why, self.remedy = why, remedy
        super().__init__(f"{why}. {remedy}.")


def composed(gateway: Route, behind: Route) -> Route | None:
    """
    The route for requests that a gateway's route takes, and a router's route takes as they are rewritten.

    Args:
        gateway: With its rewriting.
        behind: With its target, retries and timeouts.

    Returns:
        The route; None if no request is taken by both.

    Raises:
        NotComposable: If Envoy has no route that would do the same.
    """
    one, other = gateway.conditions, behind.conditions
    if any(
        getattr(one, name) and getattr(other, name) and getattr(one, name) != getattr(other, name)
        for name in ("method", "scheme")
    ):
        return None
    path = _path(gateway, behind)
    if path is None:
        return None
    prefix, conditions = path
    return behind._replace(
        prefix=prefix,
        conditions=conditions._replace(
            host=one.host,
            host_suffix=one.host_suffix,
            method=one.method or other.method,
            scheme=one.scheme or other.scheme,
            headers=(*one.headers, *other.headers, *conditions.headers),
            query_parameters=(*one.query_parameters, *other.query_parameters),
            grpc=one.grpc or other.grpc,
            port=one.port,
        ),
        rewriting=gateway.rewriting,
    )


def _path(gateway: Route, behind: Route) -> tuple[str, Conditions] | None:
    """The condition for the path that the client sends: a prefix, or a path or regular expression among others."""
    change = gateway.rewriting
    if change.path:
        own = Conditions(path=gateway.conditions.path, regex=gateway.conditions.regex)
        return (gateway.prefix, own) if _takes(behind, change.path) else None
    if change.prefix and change.prefix != change.value:
        return _rewritten(change, behind)
    return _unchanged(gateway, behind)


def _unchanged(gateway: Route, behind: Route) -> tuple[str, Conditions] | None:
    """Both conditions are about the same path."""
    one, other = gateway.conditions, behind.conditions
    for exact, further in ((one.path, behind), (other.path, gateway)):
        if exact:
            return ("", Conditions(path=exact)) if _takes(further, exact) else None
    if one.regex and other.regex:
        if one.regex == other.regex:
            return "", Conditions(regex=one.regex)
        raise NotComposable(
            "both match paths by regular expressions", "Let one of them match a prefix, or rewrite the path"
        )
    if one.regex or other.regex:
        # Envoy's route has one condition for the path; a prefix can be a condition for the header beside it.
        prefix = gateway.prefix or behind.prefix
        headers = () if prefix == "/" else (HeaderCondition(":path", MatchKind.PREFIX, prefix),)
        return "", Conditions(regex=one.regex or other.regex, headers=headers)
    longer, shorter = sorted((gateway.prefix, behind.prefix), key=len, reverse=True)
    return (longer, Conditions()) if longer.startswith(shorter) else None


def _rewritten(change: Rewriting, behind: Route) -> tuple[str, Conditions] | None:
    """The second condition is about a path that begins with the rewriting's value."""
    other, value = behind.conditions, change.value
    if other.regex:
        return _rewritten_regex(change, other.regex)
    wanted = other.path or behind.prefix
    if not other.path and value.startswith(wanted):
        return change.prefix, Conditions()
    if not wanted.startswith(value):
        return None
    rest = wanted.removeprefix(value)
    if change.prefix.endswith("/"):
        whole = f"{change.prefix}{rest}"
        return ("", Conditions(path=whole)) if other.path else (whole, Conditions())
    regex = f"{beginning_of(change.prefix)}{re.escape(rest)}"
    return "", Conditions(regex=regex if other.path else f"{regex}.*")


def _rewritten_regex(change: Rewriting, regex: str) -> tuple[str, Conditions]:
    rest = regex.removeprefix("^")
    if has_alternatives(regex) or not literal_beginning(regex).startswith(change.value):
        raise NotComposable(
            f"the gateway route rewrites paths to begin with {change.value}, and the regular expression behind it does "
            f"not begin with exactly that",
            f"Begin it with {change.value}, or turn the rewriting off with default_prefix: DISABLED",
        )
    for character in change.value:
        rest = rest.removeprefix("\\").removeprefix(character)
    return "", Conditions(regex=f"{beginning_of(change.prefix)}(?:{rest})")


def _takes(route: Route, path: str) -> bool:
    if route.conditions.path:
        return route.conditions.path == path
    if route.conditions.regex:
        return matches_whole(route.conditions.regex, path)
    return path.startswith(route.prefix)
