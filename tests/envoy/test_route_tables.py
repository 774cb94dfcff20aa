"""Routes change while a task runs: the real Envoy takes them over, or keeps the last good ones."""

from __future__ import annotations

import http.client
import json
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple, Self

import pytest

from evidence.fixtures.container import eventually
from evidence.fixtures.proxies import gateway
from evidence.fixtures.published_routes import route_row, routes_outside
from meshcert.proxy import Backend, ProxySettings, Route, WayOut
from meshcert.routes import Conditions, HeaderCondition, MatchKind, Target
from tests.envoy.conftest import both_deliveries
from tests.envoy.routed import Nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.documents.route_table import RouteTable
    from tests.envoy.conftest import Start

EGRESS, LOCAL = 15001, 15100
POLL_S = 0.5
SERVED_WITHIN_S = POLL_S + 1.0
COLORS = "colors.mesh.local"


def shared(blue: int) -> tuple[Route, ...]:
    """A canary: so many per cent to blue, the others to green."""
    return (Route("/", "", targets=(Target("green", 100 - blue), Target("blue", blue))),)


class Front(NamedTuple):
    """A virtual node whose application calls one virtual service; no material, so that routes alone are in sight."""

    nodes: Nodes
    address: str

    def settings(self, *routes: Route) -> ProxySettings:
        """Everything in one place, as without a route table."""
        backends = tuple(Backend(name, self.address, port, "http") for name, port in self.nodes.ports.items())
        return gateway(
            name="front",
            service="front",
            listeners=(),
            identities={},
            trust_bundles={},
            backends=backends,
            routes=(),
            application_port=8080,
            ways_out=(WayOut("colors", (COLORS,), "http", routes, LOCAL),),
            egress_port=EGRESS,
            poll_interval_s=POLL_S,
        )


@pytest.fixture
def front(new_address: Callable[[], str]) -> Iterator[Front]:
    """Blue and green answer with their names."""
    address = new_address()
    with Nodes(address, ["blue", "green"]) as nodes:
        yield Front(nodes, address)


class Asking:
    """A client that asks without a break, on one kept connection; use it as a context."""

    def __init__(self, address: str, port: int) -> None:
        self.answers: list[tuple[int, str]] = []
        self._connection = http.client.HTTPConnection(address, port, timeout=30)
        self._ended = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.answers.append(self._ask())

    def _ask(self) -> tuple[int, str]:
        self._connection.request("GET", "/", headers={"Host": COLORS})
        response = self._connection.getresponse()
        body = response.read()
        return response.status, json.loads(body)[0] if body.startswith(b"[") else ""


def ask(container: Container, port: int, path: str = "/", **fields: str) -> tuple[int, str]:
    """Status, and who answered."""
    connection = http.client.HTTPConnection(container.address, port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": COLORS, **fields})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    return response.status, json.loads(body)[0] if body.startswith(b"[") else ""


def versions(container: Container) -> set[str]:
    """The versions of route configurations that Envoy says it serves."""
    stats = container.stats(".rds.")
    return {value for name, value in stats.items() if name.endswith(".version_text")}


def serves(container: Container, table: RouteTable) -> bool:
    """Whether Envoy serves this table everywhere."""
    return versions(container) == {table.version}


@both_deliveries
def test_a_canary_grows_while_the_task_runs_and_no_request_fails(start: Start, api: SecretsApi, front: Front) -> None:
    """Five per cent become fifty within the poll interval and a second, under load, in the same process."""
    settings, little = routes_outside(front.settings(*shared(5)))
    half = routes_outside(front.settings(*shared(50)))[1]
    api.route_rows["front"] = route_row("front", little)
    container = start(settings)
    container.wait_until_healthy()
    eventually(lambda: ask(container, EGRESS)[0] == 200, "a first answer")

    with Asking(container.address, EGRESS) as egress, Asking(container.address, LOCAL) as local:
        eventually(lambda: min(len(egress.answers), len(local.answers)) > 200, "two hundred answers", 60)
        before = [node for _, node in egress.answers].count("blue") / len(egress.answers)
        api.route_rows["front"] = route_row("front", half, little)
        published = time.monotonic()
        eventually(lambda: serves(container, half), "the new routes")
        took_s = time.monotonic() - published
        begun = len(egress.answers)
        eventually(lambda: len(egress.answers) > begun + 200, "two hundred more", 60)

    after = [node for _, node in egress.answers[begun:]].count("blue") / len(egress.answers[begun:])
    assert before < 0.2
    assert after > 0.3
    assert {status for status, _ in (*egress.answers, *local.answers)} == {200}
    assert took_s <= SERVED_WITHIN_S
    assert container.process.poll() is None
    assert [line["version"] for line in container.told("routes-served")] == [half.version]


@both_deliveries
def test_routes_to_an_unknown_target_are_not_taken_over_and_the_last_good_ones_stay(
    start: Start, api: SecretsApi, front: Front
) -> None:
    """Tasks that lack its cluster take the table before; if that does not fit either, they keep what they have."""
    settings, good = routes_outside(front.settings(Route("/", "green")))
    unknown = routes_outside(front.settings(Route("/", "red")))[1]
    api.route_rows["front"] = route_row("front", unknown, good)
    container = start(settings)
    container.wait_until_healthy()

    assert ask(container, EGRESS) == (200, "green")
    assert container.told("routes-for-other-tasks")[0]["reason"] == "no cluster for red"

    api.route_rows["front"] = route_row("front", unknown, unknown)
    (line,) = container.told("routes-wait")
    assert "no cluster for red" in line["reason"]
    assert ask(container, LOCAL) == (200, "green")

    blue = routes_outside(front.settings(Route("/", "blue")))[1]
    api.route_rows["front"] = route_row("front", blue, unknown)
    container.told("routes-served")
    assert ask(container, EGRESS) == (200, "blue")


@both_deliveries
def test_routes_that_envoy_refuses_are_taken_back_everywhere_and_not_tried_again(
    start: Start, api: SecretsApi, front: Front
) -> None:
    """A regular expression that RE2 does not know passes our own checks: Envoy's word is told, and it heals."""
    settings, good = routes_outside(front.settings(Route("/", "green")))
    bad = Route("/", "blue", conditions=Conditions(headers=(HeaderCondition("x-a", MatchKind.REGEX, "(?=lookahead)"),)))
    refused = routes_outside(front.settings(bad))[1]
    api.route_rows["front"] = route_row("front", good)
    container = start(settings)
    container.wait_until_healthy()

    api.route_rows["front"] = route_row("front", refused, good)
    (line,) = container.told("routes-refused")
    assert line["version"] == refused.version
    assert ask(container, EGRESS) == (200, "green")
    reads = api.calls.count(("GetItem", "front"))
    eventually(lambda: api.calls.count(("GetItem", "front")) > reads + 1, "two further looks")
    assert len(container.events("routes-refused")) == 1
    assert serves(container, good)

    api.route_rows["front"] = route_row("front", good, refused)
    container.told("routes-recovered")
    assert ask(container, LOCAL, "/", **{"x-a": "any"}) == (200, "green")
