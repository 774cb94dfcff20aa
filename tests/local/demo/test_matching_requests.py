"""A request that a route takes: made of the route's own conditions."""

from __future__ import annotations

import pytest

from local.demo.matching_requests import MatchingRequest, matching_request
from meshcert.proxy import Route
from meshcert.routes import Conditions, HeaderCondition, MatchKind, QueryCondition


def _header(kind: MatchKind, *, invert: bool = False) -> Conditions:
    return Conditions(headers=(HeaderCondition("color", kind, "red", 3, 9, invert),))


@pytest.mark.parametrize(
    ("prefix", "conditions", "request_"),
    [
        ("/orders", Conditions(), MatchingRequest("/orders")),
        ("", Conditions(path="/one"), MatchingRequest("/one")),
        ("/", Conditions(method="POST"), MatchingRequest("/", "POST")),
        ("/", _header(MatchKind.EXACT), MatchingRequest("/", headers=(("color", "red"),))),
        ("/", _header(MatchKind.EXACT, invert=True), MatchingRequest("/", headers=(("color", "no-red-"),))),
        ("/", _header(MatchKind.SUFFIX), MatchingRequest("/", headers=(("color", "red"),))),
        ("/", _header(MatchKind.PRESENT), MatchingRequest("/", headers=(("color", "1"),))),
        ("/", _header(MatchKind.PRESENT, invert=True), MatchingRequest("/")),
        ("/", _header(MatchKind.RANGE), MatchingRequest("/", headers=(("color", "3"),))),
        ("/", _header(MatchKind.RANGE, invert=True), MatchingRequest("/", headers=(("color", "9"),))),
        ("/", Conditions(query_parameters=(QueryCondition("a", "b c"),)), MatchingRequest("/?a=b+c")),
        ("/", Conditions(host="a.example"), MatchingRequest("/", headers=(("host", "a.example"),))),
        ("/", Conditions(host_suffix=".example"), MatchingRequest("/", headers=(("host", "any.example"),))),
    ],
)
def test_a_request_meets_the_conditions_of_its_route(
    prefix: str, conditions: Conditions, request_: MatchingRequest
) -> None:
    """Each condition by itself; a range ends before its end."""
    assert matching_request(Route(prefix, "red", conditions=conditions), grpc=False) == request_


@pytest.mark.parametrize(("prefix", "path"), [("/shop.Catalog", "/shop.Catalog/Ask"), ("/", "/Ask")])
def test_a_grpc_call_names_a_method(prefix: str, path: str) -> None:
    """Below the route's prefix."""
    assert matching_request(Route(prefix, "red"), grpc=True) == MatchingRequest(path)


@pytest.mark.parametrize("conditions", [Conditions(regex="/a|b"), _header(MatchKind.REGEX), Conditions(port=8080)])
def test_what_only_an_author_knows_is_not_guessed(conditions: Conditions) -> None:
    """The proof then says that it knows no request."""
    assert matching_request(Route("/", "red", conditions=conditions), grpc=False) is None
