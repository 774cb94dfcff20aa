"""A request that the routes of a proxy lead to one of its backends."""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from local.demo.regex_texts import text_matching
from meshcert.mesh.routing.order import value_meets
from meshcert.mesh.routing.regexes import matches_whole
from meshcert.routes import MatchKind

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from meshcert.proxy import Route
    from meshcert.routes import Conditions, HeaderCondition

METHOD = "Ask"
"""The gRPC method that is called; a stand-in answers every one."""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
"""What is tried where a route takes every method and the ones before it do not; gRPC has POST."""
ANY_HOST = "any.example"
MOST_TRIED = 2000
"""Requests that are considered for one route."""
HTTP_PORT = 80


class MatchingRequest(NamedTuple):
    """
    The parts of a request that routes look at.

    Args:
        path: With its query.
        headers: Names and values.
        host: The host that it names; empty: the usual one.
        port: The port that it names behind its host; 0: none. Of a gateway the port that it comes to.
    """

    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    host: str = ""
    port: int = 0


class Way(NamedTuple):
    """
    What a request is anyhow on the way that it takes.

    Args:
        host: The host that it names where no route demands another.
        grpc: Whether it is a gRPC call.
        scheme: ``https``, or ``http`` in plain text.
        port: Of the gateway's listener that it comes to; 0 where it comes from an application, which names one.
    """

    host: str = ""
    grpc: bool = False
    scheme: str = "http"
    port: int = 0


def requests_to(backends: Container[str], routes: Sequence[Route], way: Way) -> Iterator[tuple[Route, MatchingRequest]]:
    """
    The routes that lead to backends, each with a request that it takes, and none of those before it.

    Those that lead to one backend alone come first. A route is left out if no such request is found.

    Args:
        backends: Their names.
        routes: In the order in which they are asked.
    """
    ranked = sorted(enumerate(routes), key=lambda each: len(each[1].shares))
    for place, route in ranked:
        if any(share.backend in backends for share in route.shares):
            candidates = islice(_candidates(route, routes[:place], way), MOST_TRIED)
            request = next((one for one in candidates if taken_by(routes, one, way) is route), None)
            if request:
                yield route, request


def taken_by(routes: Sequence[Route], request: MatchingRequest, way: Way) -> Route | None:
    """The route that takes a request: the first that matches; None if none does."""
    return next((route for route in routes if _takes(route, request, way)), None)


def _takes(route: Route, request: MatchingRequest, way: Way) -> bool:
    conditions = route.conditions
    url, host = urlsplit(request.path), (request.host or way.host).lower()
    parameters = dict(each.partition("=")[::2] for each in url.query.split("&"))
    fields = {**dict(request.headers), ":path": request.path}
    return (
        _takes_path(route, url.path)
        and conditions.host.lower() in ("", host)
        and host.endswith(conditions.host_suffix.lower())
        and conditions.method in ("", request.method)
        and conditions.scheme in ("", way.scheme)
        and conditions.port in (0, request.port or HTTP_PORT)
        and (way.grpc or not conditions.grpc)
        and all(_meets(fields.get(each.name), each) for each in conditions.headers)
        # Envoy compares what was sent, and decodes nothing.
        and all(
            each.name in parameters and each.exact in ("", parameters[each.name])
            for each in conditions.query_parameters
        )
    )


def _takes_path(route: Route, path: str) -> bool:
    if route.conditions.path:
        return path == route.conditions.path
    if route.conditions.regex:
        return matches_whole(route.conditions.regex, path)
    return path.startswith(route.prefix)


def _meets(value: str | None, condition: HeaderCondition) -> bool:
    if value is None:
        return condition.kind is MatchKind.PRESENT and condition.invert
    return value_meets(value, condition._replace(invert=False)) != condition.invert


def _candidates(route: Route, before: Sequence[Route], way: Way) -> Iterator[MatchingRequest]:
    """Requests that may meet a route's conditions, the plainest first; further ones go past the routes before it."""
    conditions = route.conditions
    query = urlencode({each.name: each.exact for each in conditions.query_parameters})
    ports = [way.port or conditions.port] if not conditions.port or way.port in (0, conditions.port) else []
    methods = [conditions.method] if conditions.method else ["POST"] if way.grpc else METHODS
    for path, method, host, port, headers in product(
        _paths(route, way), methods, _hosts(conditions), ports, _headers(conditions, before)
    ):
        whole = f"{path}?{query}" if query else path
        yield MatchingRequest(whole, method, headers, host, port)


def _paths(route: Route, way: Way) -> list[str]:
    if route.conditions.path:
        return [route.conditions.path]
    if route.conditions.regex:
        # One that composes two routes has a slash where the prefix may have one.
        regex = route.conditions.regex
        texts = (text_matching(regex), text_matching(regex.replace("/?", "/")))
        return [text for text in dict.fromkeys(texts) if text and matches_whole(regex, text)]
    prefix = route.prefix or "/"
    below = prefix if prefix.endswith("/") else f"{prefix}/"
    if way.grpc:
        return [f"{below}{METHOD}"]
    return list(dict.fromkeys([prefix, f"{below}any", f"{prefix}any"]))


def _hosts(conditions: Conditions) -> list[str]:
    if conditions.host:
        return [conditions.host]
    return [f"any{conditions.host_suffix}"] if conditions.host_suffix else ["", ANY_HOST]


def _headers(conditions: Conditions, before: Sequence[Route]) -> list[tuple[tuple[str, str], ...]]:
    """What headers may be: those that a route demands, and others whose absence routes before it demand."""
    demanded = [each for each in conditions.headers if not each.name.startswith(":")]
    absent = {each.name for each in demanded if each.kind is MatchKind.PRESENT and each.invert}
    names = dict.fromkeys(each.name for each in demanded if each.name not in absent)
    further = dict.fromkeys(
        each.name
        for route in before
        for each in route.conditions.headers
        if each.kind is MatchKind.PRESENT and each.invert and each.name not in absent
    )
    values: dict[str, list[str | None]] = {
        name: list(dict.fromkeys(value for each in demanded if each.name == name for value in _values(each)))
        for name in names
    }
    values |= {name: [None, "1"] for name in further if name not in values}
    return [
        tuple((name, value) for name, value in zip(values, chosen, strict=True) if value is not None)
        for chosen in product(*values.values())
    ]


def _values(condition: HeaderCondition) -> list[str]:
    """Values that a header may have to meet a condition, the plainest first."""
    match condition.kind:
        case MatchKind.PRESENT:
            return ["1"]
        case MatchKind.RANGE:
            first, end = condition.start, condition.end
            return [str(number) for number in ((end, first - 1) if condition.invert else (first, end - 1))]
        case MatchKind.REGEX:
            text = text_matching(condition.value)
            values = ["", "1", "other"] if condition.invert else [text or ""]
            return [value for value in values if value_meets(value, condition) != condition.invert]
        case kind:
            if condition.invert:
                return [f"no-{condition.value}-"]
            return [condition.value, *_longer(kind, condition.value)]


def _longer(kind: MatchKind, value: str) -> list[str]:
    """Further values that meet the same condition."""
    return {MatchKind.PREFIX: [f"{value}-any"], MatchKind.SUFFIX: [f"any-{value}"]}.get(kind, [])
