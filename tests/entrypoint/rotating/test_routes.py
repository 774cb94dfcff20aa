"""Routes at start and at each look: what is taken over, and what leaves the last good ones where they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.dynamodb import plain_value
from entrypoint.aws.retrying import ProcessClock
from entrypoint.envoy.acceptance import SecretCounters
from entrypoint.envoy.handover import EnvoySilent, Verdict
from entrypoint.log import Log
from entrypoint.rotating.first_delivery import exit_code_of
from entrypoint.rotating.routes import RouteDelivery, RouteStanding
from evidence.fixtures.published_routes import route_row, routes_outside
from meshcert.contract import exit_codes
from meshcert.documents.route_table import RouteTable
from meshcert.errors import AwsRefused, AwsUnavailable, MeshcertError, RoutesNotPublished, RouteTableUnusable
from meshcert.proxy import Route, WayOut
from tests.meshcert.documents.test_route_table import NODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.handover import EnvoyResource


def node(backend: str) -> Any:
    """A node with an egress listener and a local port, everything to one backend."""
    return NODE._replace(ways_out=(WayOut("colors", ("colors.local",), "http", (Route("/", backend),), 15100),))


SETTINGS, GREEN = routes_outside(node("green"))
BLUE, RED = (RouteTable.of(node(backend)) for backend in ("blue", "red"))


class Task:
    """A table of one row, an Envoy that obeys, and a clock."""

    def __init__(self) -> None:
        self.row: dict[str, Any] | None = route_row("front", GREEN)
        self.error: MeshcertError | None = None
        self.in_envoy: dict[str, str] = {}
        self.refuses: set[tuple[str, str]] = set()
        self.silent = False
        self.silent_at = ""
        self.lines: list[bytes] = []
        self.now = 0.0
        self.ask_every_s = 0.01
        clock = ProcessClock(lambda: self.now, self.sleep, lambda: 1.0, lambda: self.now)
        log = Log("info", self.lines.append)
        handover: Any = self
        self.routes = RouteDelivery(SETTINGS, self, handover, self.counters, log=log, clock=clock)

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds

    def get(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
        """DynamoDB."""
        assert (table, key) == (SETTINGS.route_table, {"service": SETTINGS.service})
        if self.error:
            raise self.error
        return {name: plain_value(value) for name, value in self.row.items()} if self.row else None

    def put(self, name: str, resource: EnvoyResource) -> None:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        self.in_envoy[name] = resource.version

    def hand(self, name: str, resource: EnvoyResource) -> Any:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        if self.silent or name == self.silent_at:
            raise EnvoySilent("nobody answers")
        refused = (name, resource.version) in self.refuses
        if not refused:
            self.put(name, resource)

        class Ticket:
            def verdict(self) -> Verdict:
                return Verdict(not refused, "it says no" if refused else "")

        return Ticket()

    def restore(self, name: str, resource: EnvoyResource | None) -> None:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        assert resource
        self.put(name, resource)

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        return {name: Verdict((name, self.in_envoy[name]) not in self.refuses, "it says no") for name in names}

    def counters(self) -> Mapping[str, SecretCounters]:
        """Envoy's own word."""
        if self.silent:
            raise ConnectionRefusedError
        return {name: SecretCounters(version=version) for name, version in self.in_envoy.items()}

    def begin(self) -> Task:
        """A good start."""
        self.routes.begin(60.0)
        self.routes.install()
        self.routes.wait_for_envoy()
        return self

    def events(self) -> list[str]:
        """The names of the lines that were logged since the start."""
        return [json.loads(line)["event"] for line in self.lines][1:]


def test_routes_are_handed_to_every_listener_at_start() -> None:
    """And told as what Envoy says."""
    task = Task().begin()

    assert task.in_envoy == {"egress": GREEN.version, "local_15100": GREEN.version}
    assert task.routes.standing() == RouteStanding(GREEN.version)


def test_a_look_takes_the_newest_over_once() -> None:
    """The same row again is no news."""
    task = Task().begin()
    task.row = route_row("front", BLUE, GREEN)

    for _ in range(3):
        task.routes.look()

    assert set(task.in_envoy.values()) == {BLUE.version}
    assert task.events() == ["routes-served"]


def test_a_task_without_the_newest_ones_clusters_takes_those_before() -> None:
    """A deployment: tasks of both kinds run, and each has routes that it can follow."""
    task = Task()
    task.row = route_row("front", RED, BLUE)

    task.begin()

    assert task.routes.standing() == RouteStanding(BLUE.version)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda task: setattr(task, "error", AwsUnavailable("dynamodb:GetItem", "t", "Throttling")), "Throttling"),
        (lambda task: setattr(task, "row", None), "not published yet"),
        (lambda task: setattr(task, "row", route_row("front", RED, RED)), "no cluster for red"),
        (lambda task: task.row.update(schema={"N": "2"}), "another version of meshcert"),
        (lambda task: task.row.update(newest={"S": "?"}), "no text"),
        (
            lambda task: task.__dict__.update(silent=True, row=route_row("front", BLUE)),
            "nobody answers",
        ),
    ],
)
def test_what_is_in_the_way_leaves_the_last_good_routes_and_heals(spoil: Callable[[Task], object], told: str) -> None:
    """Said once in the log, and in every acknowledgement until it is over."""
    task = Task().begin()

    spoil(task)
    for _ in range(3):
        task.routes.look()

    assert set(task.in_envoy.values()) == {GREEN.version}
    standing = task.routes.standing()
    assert (standing.version, standing.refused) == (GREEN.version, "")
    assert told in standing.error
    assert task.events() == ["routes-wait"]

    task.error, task.silent, task.row = None, False, route_row("front", BLUE)
    task.routes.look()
    assert task.routes.standing() == RouteStanding(BLUE.version)
    assert task.events() == ["routes-wait", "routes-served", "routes-recovered"]


def test_routes_that_envoy_refuses_at_one_listener_are_taken_back_at_all() -> None:
    """They are told, not tried again, and forgotten with the next."""
    task = Task().begin()
    task.refuses.add(("local_15100", BLUE.version))
    task.row = route_row("front", BLUE, GREEN)

    for _ in range(3):
        task.routes.look()

    assert set(task.in_envoy.values()) == {GREEN.version}
    assert task.routes.standing() == RouteStanding(GREEN.version, BLUE.version, "local_15100: it says no")
    assert task.events() == ["routes-refused"]

    task.row = route_row("front", GREEN, BLUE)
    task.routes.look()
    assert task.routes.standing() == RouteStanding(GREEN.version)


def test_routes_that_reached_one_listener_before_envoy_fell_silent_go_back_with_their_row() -> None:
    """A deploy that is taken back meanwhile: the row names what was served before, and one listener has the others."""
    task = Task().begin()
    task.silent_at = "local_15100"
    task.row = route_row("front", BLUE, GREEN)
    task.routes.look()
    assert set(task.in_envoy.values()) == {BLUE.version, GREEN.version}

    task.silent_at, task.row = "", route_row("front", GREEN, BLUE)
    task.routes.look()

    assert set(task.in_envoy.values()) == {GREEN.version}
    assert task.routes.standing() == RouteStanding(GREEN.version)


@pytest.mark.parametrize(
    ("row", "error", "ends_with", "code"),
    [
        (None, None, RoutesNotPublished, exit_codes.NOT_PUBLISHED),
        (route_row("front", RED), None, RouteTableUnusable, exit_codes.SETTINGS),
        (route_row("front", GREEN), AwsUnavailable("a", "t", "out"), AwsUnavailable, exit_codes.AWS_UNAVAILABLE),
        (route_row("front", GREEN), AwsRefused("a", "t", "Denied", ""), AwsRefused, exit_codes.AWS_REFUSED),
    ],
)
def test_a_start_without_routes_ends_with_its_reason(
    row: dict[str, Any] | None, error: MeshcertError | None, ends_with: type[MeshcertError], code: int
) -> None:
    """No code that a certificate's label goes back for; what heals is tried until the deadline."""
    task = Task()
    task.row, task.error = row, error

    with pytest.raises(ends_with) as ended:
        task.begin()

    assert exit_code_of(ended.value) == code
    assert task.in_envoy == {}


def test_a_start_whose_routes_envoy_refuses_ends_too() -> None:
    """Before the task is healthy."""
    task = Task()
    task.refuses.add(("egress", GREEN.version))

    with pytest.raises(RouteTableUnusable, match="it says no"):
        task.begin()
