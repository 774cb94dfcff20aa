"""A request that routes lead to a backend: made of the conditions of one route, and of those before it."""

from __future__ import annotations

import pytest

from local.demo.matching_requests import MatchingRequest, Way, requests_to
from local.demo.regex_texts import text_matching
from meshcert.mesh.routing.regexes import matches_whole
from meshcert.proxy import Route
from meshcert.routes import Conditions, HeaderCondition, MatchKind, QueryCondition, Target

HOST = Way("api.example")


def _header(kind: MatchKind, *, invert: bool = False, value: str = "red") -> Conditions:
    return Conditions(headers=(HeaderCondition("color", kind, value, 3, 9, invert),))


def _color(value: str) -> tuple[tuple[str, str], ...]:
    return (("color", value),)


def _first(backend: str, *routes: Route, way: Way = HOST) -> MatchingRequest | None:
    return next((request for _, request in requests_to({backend}, routes, way)), None)


@pytest.mark.parametrize(
    ("prefix", "conditions", "request_"),
    [
        ("/orders", Conditions(), MatchingRequest("/orders")),
        ("", Conditions(path="/one"), MatchingRequest("/one")),
        ("", Conditions(regex="/v[0-9]+/(a|b)"), MatchingRequest("/v0/a")),
        ("", Conditions(regex="/shop/?v2.*"), MatchingRequest("/shopv2")),
        ("/", Conditions(method="POST"), MatchingRequest("/", "POST")),
        ("/", _header(MatchKind.EXACT), MatchingRequest("/", headers=_color("red"))),
        ("/", _header(MatchKind.EXACT, invert=True), MatchingRequest("/", headers=_color("no-red-"))),
        ("/", _header(MatchKind.SUFFIX), MatchingRequest("/", headers=_color("red"))),
        ("/", _header(MatchKind.PRESENT), MatchingRequest("/", headers=_color("1"))),
        ("/", _header(MatchKind.PRESENT, invert=True), MatchingRequest("/")),
        ("/", _header(MatchKind.RANGE), MatchingRequest("/", headers=_color("3"))),
        ("/", _header(MatchKind.RANGE, invert=True), MatchingRequest("/", headers=_color("9"))),
        ("/", _header(MatchKind.REGEX, value="r.d+"), MatchingRequest("/", headers=_color("rad"))),
        ("/", _header(MatchKind.REGEX, value=".*", invert=True), None),
        ("/", Conditions(query_parameters=(QueryCondition("a", "b"),)), MatchingRequest("/?a=b")),
        ("/", Conditions(query_parameters=(QueryCondition("a", "b c"),)), None),
        ("/", Conditions(host="a.example"), MatchingRequest("/", host="a.example")),
        ("/", Conditions(host_suffix=".other.example"), MatchingRequest("/", host="any.other.example")),
        ("/", Conditions(port=8080), MatchingRequest("/", port=8080)),
        ("/", Conditions(scheme="http"), MatchingRequest("/")),
        ("/", Conditions(scheme="https"), None),
    ],
)
def test_a_request_meets_the_conditions_of_its_route(
    prefix: str, conditions: Conditions, request_: MatchingRequest | None
) -> None:
    """Each condition by itself; a range ends before its end. What nobody can send is not sent."""
    assert _first("red", Route(prefix, "red", conditions=conditions)) == request_


@pytest.mark.parametrize(
    ("before", "prefix", "request_"),
    [
        (Route("/", "blue", conditions=Conditions(method="GET")), "/", MatchingRequest("/", "POST")),
        (Route("", "blue", conditions=Conditions(path="/")), "/", MatchingRequest("/any")),
        (Route("/api/", "blue"), "/api", MatchingRequest("/api")),
        (Route("/", "blue", conditions=Conditions(regex="/[a-z]*")), "/api", MatchingRequest("/api/any")),
        (Route("/", "blue", conditions=Conditions(host=HOST.host)), "/", MatchingRequest("/", host="any.example")),
        (
            Route("/", "blue", conditions=_header(MatchKind.PRESENT, invert=True)),
            "/",
            MatchingRequest("/", headers=_color("1")),
        ),
        (Route("/", "", targets=(Target("blue", 1), Target("green", 9))), "/api", None),
    ],
)
def test_a_request_goes_past_the_routes_that_are_asked_before(
    before: Route, prefix: str, request_: MatchingRequest | None
) -> None:
    """In another method, at another path, from another host, or with a header; a hidden route has none."""
    assert _first("red", before, Route(prefix, "red")) == request_


def test_a_header_goes_past_the_same_header_of_a_route_before() -> None:
    """Both begin alike, and the first takes the plainest value."""
    routes = (
        Route("/", "blue", conditions=_header(MatchKind.EXACT)),
        Route("/", "red", conditions=_header(MatchKind.PREFIX)),
    )

    assert _first("red", *routes) == MatchingRequest("/", headers=_color("red-any"))


def test_a_route_to_one_backend_is_asked_before_one_that_is_shared() -> None:
    """Even where it is the longer way."""
    routes = (Route("/api", "", targets=(Target("red", 9), Target("blue", 1))), Route("/", "red"))

    assert _first("red", *routes) == MatchingRequest("/")
    assert _first("blue", *routes) == MatchingRequest("/api")


@pytest.mark.parametrize(("prefix", "path"), [("/shop.Catalog", "/shop.Catalog/Ask"), ("/", "/Ask")])
def test_a_grpc_call_names_a_method(prefix: str, path: str) -> None:
    """Below the route's prefix; it is no plain request, even if it looks like one."""
    routes = (Route("/", "blue", conditions=Conditions(method="GET")), Route(prefix, "red"))

    assert _first("red", *routes, way=Way(grpc=True)) == MatchingRequest(path, "POST")


@pytest.mark.parametrize(
    "regex",
    [
        "/a|b",
        "/items/[^/]+/x?",
        r"/v\d{2,3}/.+",
        "^/(?:a|b)c*$",
        r"(?i)/A\.b",
        "[[:digit:]]+",
        ".*Chrome.*",
        "/(a(b|c))+",
    ],
)
def test_a_text_is_found_for_a_regular_expression(regex: str) -> None:
    """Of each choice the simplest, and only if it matches."""
    text = text_matching(regex)

    assert text is not None
    assert matches_whole(regex, text)
