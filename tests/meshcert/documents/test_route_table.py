"""A route table: one text for what says the same, and nothing is believed that is not whole."""

from __future__ import annotations

import base64
import json
import zlib
from hashlib import sha256
from typing import Any

import pytest

from evidence.fixtures.proxies import gateway
from meshcert.documents.route_table import LONGEST_PACKED, RouteTable, read_route_table, without_routes
from meshcert.errors import RouteTableUnusable
from meshcert.proxy import Backend, Route, WayOut
from meshcert.routes import (
    Conditions,
    HeaderCondition,
    MatchKind,
    QueryCondition,
    Retries,
    Rewriting,
    Target,
)
from meshcert.timeouts import Timeouts

EVERYTHING = Route(
    "/book",
    "",
    Timeouts(15.0, 0, None),
    Conditions(
        method="GET",
        scheme="https",
        host_suffix=".example",
        headers=(HeaderCondition("x-a", MatchKind.RANGE, start=-3, end=9, invert=True), HeaderCondition("x-b")),
        query_parameters=(QueryCondition("q", "1"), QueryCondition("r")),
        grpc=True,
        port=8443,
    ),
    (Target("blue", 5), Target("green", 95)),
    Rewriting("/book", "/", host="inner.local"),
    Retries(3, 2.5, ("server-error", "unavailable")),
)
PLAIN = Route("/", "green")
CLUSTERS = tuple(Backend(name, f"{name}.local", 8080, "http") for name in ("blue", "green"))
NODE = gateway(
    routes=(),
    backends=CLUSTERS,
    application_port=8080,
    egress_port=15001,
    ways_out=(
        WayOut("colors", ("colors.local",), "http", (EVERYTHING,)),
        WayOut("store", (), "tcp", (Route("/", "green", targets=(Target("blue", 1), Target("green", 2))),), 6379),
    ),
)


def test_what_is_taken_out_of_the_settings_is_put_back() -> None:
    """Nothing of a route is lost on its way through document and row; ``tcp`` stays in the settings."""
    outside, table = without_routes(NODE, "routes"), RouteTable.of(NODE)

    read = read_route_table(table.packed(), table.version, "service front")

    assert read == table
    assert outside.ways_out[0].routes == ()
    assert outside.ways_out[1] == NODE.ways_out[1]
    assert read.put_into(outside)._replace(route_table="", judges_paths=False) == NODE
    assert outside == type(outside).from_json(outside.to_json())


def test_other_weights_leave_the_settings_as_they_are() -> None:
    """A task definition with these settings stays the same; the version of the routes does not."""
    canary = NODE.ways_out[0]._replace(
        routes=(EVERYTHING._replace(targets=(Target("blue", 50), Target("green", 50))), PLAIN)
    )
    changed = NODE._replace(ways_out=(canary, NODE.ways_out[1]))

    assert without_routes(changed, "routes").to_json() == without_routes(NODE, "routes").to_json()
    assert RouteTable.of(changed).version != RouteTable.of(NODE).version


def test_the_order_of_ways_out_does_not_change_the_version() -> None:
    """Ways out are found by their backend; the order of routes means something, and stays."""
    two = NODE._replace(ways_out=(NODE.ways_out[0], WayOut("a", ("a.local",), "http", (PLAIN, EVERYTHING))))
    reordered = two._replace(ways_out=two.ways_out[::-1])

    assert RouteTable.of(two).version == RouteTable.of(reordered).version
    assert dict(RouteTable.of(two).ways_out)["a"] == (PLAIN, EVERYTHING)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (RouteTable((), (("colors", (PLAIN,)),)), ""),
        (RouteTable((), (("colors", (PLAIN,)), ("not-ours", (Route("/", "red"),)))), ""),
        (RouteTable((), (("colors", (Route("/", "red"),)),)), "no cluster for red"),
        (RouteTable((), (("colors", (EVERYTHING._replace(targets=(Target("red", 1),)),)),)), "no cluster for red"),
        (RouteTable(), "it has no routes to colors"),
        (RouteTable((), (("colors", (Route("/a", "green"),)),)), "the listeners are not made for"),
        (RouteTable((PLAIN, Route("/", "red")), (("colors", (PLAIN,)),)), "no cluster for red"),
    ],
)
def test_a_task_takes_over_what_it_has_clusters_and_listeners_for(table: RouteTable, fault: str) -> None:
    """Everything else is a deployment, and not for the tasks before it."""
    plain = NODE._replace(ways_out=(NODE.ways_out[0]._replace(routes=(PLAIN,)),))

    faults = table.faults_for(without_routes(plain, "routes"))

    assert (faults == ()) if not fault else faults[0].startswith(fault)


def test_a_gateway_without_routes_is_no_gateways_table() -> None:
    """It would answer 404 to everybody."""
    edge = without_routes(gateway(), "routes")

    assert RouteTable().faults_for(edge) == ("it has no routes of a gateway",)
    assert RouteTable.of(gateway()).faults_for(edge) == ()


def _packed(text: bytes) -> tuple[str, str]:
    return base64.b64encode(zlib.compress(text)).decode(), sha256(text).hexdigest()


def _with(**changes: Any) -> tuple[str, str]:
    document = json.loads(RouteTable((PLAIN,)).to_json()) | changes
    return _packed(json.dumps(document).encode())


GOOD, VERSION = RouteTable.of(NODE).packed(), RouteTable.of(NODE).version


@pytest.mark.parametrize(
    ("packed", "version", "problem"),
    [
        (None, VERSION, "no text"),
        ("a" * (LONGEST_PACKED + 1), VERSION, "no text of at most"),
        ("?", VERSION, "not zlib in base64"),
        (base64.b64encode(b"plain").decode(), VERSION, "not zlib in base64"),
        (base64.b64encode(base64.b64decode(GOOD)[:-9]).decode(), VERSION, "cut"),
        (base64.b64encode(base64.b64decode(GOOD) + b"more").decode(), VERSION, "cut"),
        (*_packed(b" " * ((1 << 20) + 1)), "longer than"),
        (GOOD, "0" * 64, "SHA-256"),
        (GOOD, None, "SHA-256"),
        (*_packed(b"[]"), "TypeError"),
        (*_packed(b"no json"), "JsonInvalid"),
        (*_packed(b"{}"), "KeyError"),
        (*_with(schema=2), "another version of meshcert"),
        (*_with(routes=[{"prefix": "/"}]), "TypeError"),
        (*_with(routes=[{"prefix": 1, "backend": "a"}]), "TypeError"),
        (*_with(routes=[{"prefix": "/", "backend": "a", "more": 1}]), "TypeError"),
        (*_with(routes=[{"prefix": "/", "backend": "a", "timeouts": {"idle_s": "1"}}]), "TypeError"),
        (*_with(routes=[{"prefix": "/", "backend": "", "targets": [{"backend": "a", "weight": True}]}]), "TypeError"),
        (*_with(routes=[{"prefix": "/", "backend": "a", "conditions": {"headers": [{"name": ["x"]}]}}]), "TypeError"),
        (*_with(routes=[{"prefix": "/", "backend": "a", "conditions": {"grpc": "yes"}}]), "TypeError"),
        (*_with(ways_out=[]), "AttributeError"),
        *(
            (*_with(routes=[{"prefix": "/", "backend": "a"} | said]), "ValueError")
            for said in (
                {"timeouts": {"idle_s": -1}},
                {"timeouts": {"stream_s": 1e300}},
                {"conditions": {"port": 65_536}},
                {"conditions": {"port": -1}},
                {"targets": [{"backend": "a", "weight": -1}]},
                {"targets": [{"backend": "a", "weight": 2**32}]},
                {"retries": {"times": -1, "per_try_timeout_s": 1, "events": []}},
                {"retries": {"times": 1, "per_try_timeout_s": -1, "events": []}},
            )
        ),
    ],
)
def test_what_is_no_route_table_is_refused_with_its_reason(packed: object, version: object, problem: str) -> None:
    """Bounded before it is unpacked, and whole before it is read; nothing of it is in the message."""
    with pytest.raises(RouteTableUnusable) as refused:
        read_route_table(packed, version, "service front")

    assert problem in refused.value.problem
    assert "service front" in str(refused.value)
