"""The order in which routes are asked: App Mesh's, and where that ends, our own rule, which is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.rendering.routes import ranked_routes
from meshcert.mesh.routing.order import decided_by_rule, hides, in_order
from meshcert.mesh.routing.routers import RouterRoute
from tests.meshcert.mesh.routed_meshes import header, mesh_values, read, route

ROOT = Path(__file__).parents[3]
GET, POST = {"method": "GET"}, {"method": "POST"}
A, B = [header("x-a", exact="1")], [header("x-b")]


def _ranked(*routes: dict[str, Any]) -> tuple[Any, ...]:
    return ranked_routes("routes", [RouterRoute.model_validate(each) for each in routes])


def _one(name: str, priority: int | None = None, **match: Any) -> dict[str, Any]:
    return route(name, "blue", priority=priority, **match)


ORDERS = {
    "the smaller number": [_one("z", 0, prefix="/"), _one("a", 1, prefix="/long")],
    "a number before none": [_one("z", 1000, prefix="/"), _one("a", prefix="/long", headers=A)],
    "the longest prefix": [_one("z", prefix="/aaa"), _one("y", prefix="/bb"), _one("a", prefix="/")],
    "the longest prefix among equals": [
        _one("z", 5, prefix="/aaa"),
        _one("y", 5, prefix="/a"),
        _one("a", 6, prefix="/aaaa"),
    ],
    "an exact path, a regular expression, a prefix": [
        _one("z", path={"exact": "/a"}),
        _one("y", path={"regex": "/a.*"}),
        _one("a", prefix="/aaaaaaaaa"),
    ],
    "the longer text": [_one("z", path={"regex": "/ab.*"}), _one("a", path={"regex": "/a.*"})],
    "more conditions": [
        _one("z", prefix="/", headers=[*A, *B]),
        _one("y", prefix="/", headers=A),
        _one("a", prefix="/"),
    ],
    "the name": [_one("a", prefix="/", headers=A), _one("b", prefix="/", headers=B)],
}


@pytest.mark.parametrize("expected", ORDERS.values(), ids=ORDERS)
def test_routes_are_asked_in_this_order_however_the_file_has_them(expected: list[dict[str, Any]]) -> None:
    """What comes first in the table wins over what stands below it there."""
    names = [each["name"] for each in expected]

    for routes in (expected, expected[::-1]):
        assert [each.name for each in in_order(_ranked(*routes))] == names


@pytest.mark.parametrize(
    ("first", "second", "is_told"),
    [
        ({"prefix": "/"}, {"prefix": "/a"}, False),
        ({"prefix": "/"}, {"prefix": "/", "headers": A}, True),
        ({"prefix": "/", "headers": A}, {"prefix": "/", "headers": B}, True),
        ({"prefix": "/", **GET}, {"prefix": "/", **POST}, False),
        ({"prefix": "/", **GET}, {"prefix": "/", "headers": A}, True),
        ({"prefix": "/a"}, {"path": {"exact": "/a"}}, True),
        ({"prefix": "/a"}, {"path": {"exact": "/b"}}, False),
        ({"prefix": "/a"}, {"path": {"regex": "/a/[0-9]+"}}, True),
        ({"prefix": "/a"}, {"path": {"regex": "/b/[0-9]+"}}, False),
        ({"path": {"regex": "/a.*"}}, {"path": {"exact": "/ab"}}, True),
        ({"path": {"regex": "/a.*"}}, {"path": {"exact": "/b"}}, False),
        ({"path": {"exact": "/a"}}, {"path": {"exact": "/b"}}, False),
        ({"prefix": "/", "headers": A}, {"prefix": "/", "headers": [header("x-a", exact="2")]}, False),
        ({"prefix": "/", "headers": A}, {"prefix": "/", "headers": [header("x-a", invert=True)]}, False),
        ({"prefix": "/", "headers": A}, {"prefix": "/", "headers": [header("x-a", prefix="1")]}, True),
        ({"prefix": "/", "headers": A}, {"prefix": "/", "headers": [header("x-a", regex="[2-9]")]}, False),
        (
            {"prefix": "/", "query_parameters": [{"name": "a", "match": {"exact": "1"}}]},
            {"prefix": "/", "query_parameters": [{"name": "a", "match": {"exact": "2"}}]},
            False,
        ),
    ],
)
def test_each_pair_that_only_our_rule_keeps_in_order_is_told(
    first: dict[str, Any], second: dict[str, Any], *, is_told: bool
) -> None:
    """Priority and longest prefix are App Mesh's own, and routes that never meet have no order."""
    told = list(decided_by_rule(_ranked(_one("one", **first), _one("other", **second))))

    assert bool(told) == is_told
    assert list(decided_by_rule(_ranked(_one("one", 1, **first), _one("other", 2, **second)))) == []


def test_such_a_pair_is_a_finding_with_a_way_to_end_it() -> None:
    """Nobody learns of it from an answer that comes from the wrong node."""
    values = mesh_values([route("new", "blue", prefix="/", headers=A), route("rest", "green", prefix="/")])

    (finding,) = [each for each in findings_of(read(values), ROOT) if "routes[" in each.place]

    assert finding.place == "virtual_routers.main.routes[1]"
    assert "new is asked before rest by a rule of meshcert's own" in finding.problem
    assert "priority" in finding.remedy


@pytest.mark.parametrize(
    ("first", "second", "is_hidden"),
    [
        ({"prefix": "/"}, {"prefix": "/a"}, True),
        ({"prefix": "/a"}, {"prefix": "/"}, False),
        ({"prefix": "/"}, {"path": {"regex": "/a.*"}}, True),
        ({"path": {"regex": ".*"}}, {"prefix": "/a"}, True),
        ({"path": {"regex": "/a.*"}}, {"path": {"exact": "/ab"}}, True),
        ({"path": {"regex": "/a.*"}}, {"path": {"exact": "/b"}}, False),
        ({"path": {"regex": "/a.*"}}, {"path": {"regex": "/a.*"}}, True),
        ({"prefix": "/a"}, {"path": {"regex": "/a/.*"}}, False),
        ({"prefix": "/", **GET}, {"prefix": "/", **GET}, True),
        ({"prefix": "/", **GET}, {"prefix": "/"}, False),
        ({"prefix": "/"}, {"prefix": "/", "headers": A, **POST}, True),
        ({"prefix": "/", "headers": B}, {"prefix": "/", "headers": [header("x-b", exact="1")]}, True),
        ({"prefix": "/", "headers": [header("x-a", prefix="1")]}, {"prefix": "/", "headers": A}, True),
        ({"prefix": "/", "headers": A}, {"prefix": "/", "headers": [header("x-a", prefix="1")]}, False),
        (
            {"prefix": "/", "headers": [header("x-a", range={"start": 0, "end": 9})]},
            {"prefix": "/", "headers": [header("x-a", range={"start": 1, "end": 5})]},
            True,
        ),
        ({"prefix": "/", "query_parameters": [{"name": "a"}]}, {"prefix": "/"}, False),
    ],
)
def test_a_route_hides_what_asks_for_no_less(first: dict[str, Any], second: dict[str, Any], *, is_hidden: bool) -> None:
    """So far as one can tell: two regular expressions are only compared by their text."""
    one, other = _ranked(_one("one", **first), _one("other", **second))

    assert hides(one.route, other.route) == is_hidden
