"""
The order in which routes are asked, and what follows from it.

App Mesh's own order is the priority, the smaller number first, and then the longest prefix (users' reports and its
guide agree). What is beyond that nobody has written down, so it is our rule: routes without a priority after all
others, an exact path before a regular expression before a prefix, the longer text first, the same for hosts, more
conditions first, and then by name. :func:`decided_by_rule` tells which routes only that rule keeps in order.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.routing.regexes import literal_beginning, matches_whole
from meshcert.routes import MatchKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.proxy import Route
    from meshcert.routes import Conditions, HeaderCondition

NO_PRIORITY = 1001
"""As priority: after every number that can be written."""
_ALL_PATHS = frozenset({".*", "/.*", "^.*$", "^/.*$"})
_EXACT, _REGEX, _PREFIX = range(3)


class RankedRoute(NamedTuple):
    """
    One of a router's or gateway's routes.

    Args:
        place: In the mesh file.
        route: Its conditions.
    """

    place: str
    name: str
    priority: int | None
    route: Route


def in_order(routes: Iterable[RankedRoute]) -> list[RankedRoute]:
    """Routes in the order in which they are asked; their order in the file means nothing."""
    return sorted(routes, key=_rank)


def decided_by_rule(routes: Iterable[RankedRoute]) -> Iterator[tuple[RankedRoute, RankedRoute]]:
    """
    Pairs that some request could match, and that only our rule keeps in this order.

    Routes of which one has a priority are no such pair: whoever writes a number wants that route to come first.
    """
    for first, second in combinations(in_order(routes), 2):
        if first.priority != second.priority or first.route == second.route:
            continue
        kinds = {_path(first.route)[0], _path(second.route)[0]}
        lengths = {len(_path(first.route)[1]), len(_path(second.route)[1])}
        by_prefix = kinds == {_PREFIX} and len(lengths) > 1
        if not by_prefix and may_meet(first.route, second.route):
            yield first, second


def hides(first: Route, second: Route) -> bool:
    """Whether every request that the second matches is matched by the first, so far as one can tell."""
    one, other = first.conditions, second.conditions
    return (
        _covers_path(first, second)
        and (one.host in ("", other.host))
        and (other.host or other.host_suffix).endswith(one.host_suffix)
        and all(
            getattr(one, field) in (default, getattr(other, field))
            for field, default in (("method", ""), ("scheme", ""), ("port", 0), ("grpc", False))
        )
        and all(any(_implies(given, wanted) for given in other.headers) for wanted in one.headers)
        and all(
            any(given.name == wanted.name and wanted.exact in ("", given.exact) for given in other.query_parameters)
            for wanted in one.query_parameters
        )
    )


def may_meet(first: Route, second: Route) -> bool:
    """Whether some request could match both, so far as one can tell."""
    one, other = first.conditions, second.conditions
    if any(
        getattr(one, field) and getattr(other, field) and getattr(one, field) != getattr(other, field)
        for field in ("host", "method", "scheme", "port")
    ):
        return False
    return (
        _paths_may_meet(first, second)
        and _hosts_may_meet(one, other)
        and not any(_exclude(header, another) for header in one.headers for another in other.headers)
        and not any(
            parameter.name == another.name and parameter.exact and another.exact and parameter.exact != another.exact
            for parameter in one.query_parameters
            for another in other.query_parameters
        )
    )


def _rank(ranked: RankedRoute) -> tuple[int, int, int, int, int, int, str]:
    kind, text = _path(ranked.route)
    conditions = ranked.route.conditions
    priority = NO_PRIORITY if ranked.priority is None else ranked.priority
    host = (0 if conditions.host else 1, -len(conditions.host_suffix))
    return priority, kind, -len(text), *host, -_count(conditions), ranked.name


def _path(route: Route) -> tuple[int, str]:
    """What a route says of paths: the kind, and the text."""
    if route.conditions.path:
        return _EXACT, route.conditions.path
    if route.conditions.regex:
        return _REGEX, route.conditions.regex
    return _PREFIX, route.prefix


def _count(conditions: Conditions) -> int:
    """Number of conditions besides the path and the port."""
    single = (conditions.host, conditions.host_suffix, conditions.method, conditions.scheme, conditions.grpc)
    return sum(map(bool, single)) + len(conditions.headers) + len(conditions.query_parameters)


def _covers_path(first: Route, second: Route) -> bool:
    (kind, text), (other_kind, other) = _path(first), _path(second)
    if kind == _PREFIX or (kind == _REGEX and text in _ALL_PATHS):
        beginning = text if kind == _PREFIX else "/"
        return beginning == "/" or (other_kind != _REGEX and other.startswith(beginning))
    if kind == other_kind:
        return text == other
    return kind == _REGEX and other_kind == _EXACT and matches_whole(text, other)


def _paths_may_meet(first: Route, second: Route) -> bool:
    (kind, text), (other_kind, other) = sorted((_path(first), _path(second)))
    if kind == _EXACT:
        if other_kind == _EXACT:
            return text == other
        return text.startswith(other) if other_kind == _PREFIX else matches_whole(other, text)
    if kind == _PREFIX:
        return text.startswith(other) or other.startswith(text)
    literal = literal_beginning(text)
    return other_kind == _REGEX or literal.startswith(other) or other.startswith(literal)


def _hosts_may_meet(one: Conditions, other: Conditions) -> bool:
    if one.host or other.host:
        host, suffix = (one.host, other.host_suffix) if one.host else (other.host, one.host_suffix)
        return host.endswith(suffix)
    return one.host_suffix.endswith(other.host_suffix) or other.host_suffix.endswith(one.host_suffix)


def _implies(given: HeaderCondition, wanted: HeaderCondition) -> bool:
    """Whether a request that meets one condition meets another."""
    if given == wanted:
        return True
    if given.name != wanted.name or wanted.invert or given.invert:
        return False
    if wanted.kind is MatchKind.PRESENT:
        return True
    if wanted.kind is MatchKind.RANGE:
        return given.kind is MatchKind.RANGE and wanted.start <= given.start and given.end <= wanted.end
    return given.kind is MatchKind.EXACT and value_meets(given.value, wanted)


def _exclude(one: HeaderCondition, other: HeaderCondition) -> bool:
    """Whether no value of a header meets both conditions."""
    if one.name != other.name:
        return False
    if one._replace(invert=not one.invert) == other:
        return True
    absent = [each for each in (one, other) if each.kind is MatchKind.PRESENT and each.invert]
    if absent:
        # Without the header nothing else matches.
        return len(absent) == 1
    if one.invert or other.invert:
        return False
    if one.kind is other.kind is MatchKind.RANGE:
        return one.end <= other.start or other.end <= one.start
    exact, further = (one, other) if one.kind is MatchKind.EXACT else (other, one)
    return exact.kind is MatchKind.EXACT and not value_meets(exact.value, further)


def value_meets(value: str, condition: HeaderCondition) -> bool:
    """Whether a header of this value meets a condition that is not inverted."""
    match condition.kind:
        case MatchKind.EXACT:
            return value == condition.value
        case MatchKind.PREFIX:
            return value.startswith(condition.value)
        case MatchKind.SUFFIX:
            return value.endswith(condition.value)
        case MatchKind.REGEX:
            return matches_whole(condition.value, value)
        case MatchKind.RANGE:
            return bool(re.fullmatch(r"-?[0-9]{1,18}", value)) and condition.start <= int(value) < condition.end
    return True
