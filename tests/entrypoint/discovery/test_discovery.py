"""What Envoy gets of Cloud Map's answers, and what it keeps without them: the rules, with a clock that obeys."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.retrying import ProcessClock
from entrypoint.discovery.discovery import (
    ASK_AGAIN_AFTER_S,
    FIRST_ANSWER_WITHIN_S,
    HEALTHY_WITHIN_S,
    LONGEST_PAUSE_S,
    Discovery,
)
from entrypoint.discovery.lookups import Lookups
from entrypoint.log import Log
from meshcert.contract.discovery import CALLERS_LEARN_S, POLL_INTERVAL_S
from meshcert.contract.stopping import DRAIN_S
from meshcert.envoy.endpoints import FIRST_ENDPOINTS_WITHIN_S, UNHEALTHY, TaskAddress
from meshcert.errors import AwsRefused, AwsUnavailable, MeshcertError
from meshcert.proxy import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from entrypoint.envoy.handover import EnvoyResource

ACTION = "servicediscovery:DiscoverInstances"
DOWN = AwsUnavailable(ACTION, "teller", "InternalServiceError")
DENIED = AwsRefused(ACTION, "teller", "AccessDeniedException", "no")
UNKNOWN = AwsRefused(ACTION, "teller", "ServiceNotFound", "there is none")
FIRST, SECOND, THIRD = (TaskAddress(f"10.0.0.{number}", "eu-west-1a") for number in (1, 2, 3))


class _Ended(Exception):
    """The test has seen enough."""


class World:
    """Cloud Map, DNS and Envoy around one discovery; time passes only when it waits."""

    def __init__(self, *backends: str, resumes: bool = False) -> None:
        self.answers: dict[str, tuple[TaskAddress, ...] | MeshcertError] = {}
        self.dns: dict[str, tuple[str, ...]] = {}
        self.asked: list[str] = []
        self.envoy: dict[str, set[str]] = {}
        self.closed: dict[str, set[str]] = {}
        self.refusing: set[TaskAddress] = set()
        self.tried: list[tuple[str, int]] = []
        self.handed = 0
        self.full = False
        self.now = 0.0
        self.waits: list[float] = []
        self.lines: list[dict[str, Any]] = []
        named = tuple(
            Backend(name, f"{name}.example", 9080, "http", cloud_map_service=name) for name in backends or ("teller",)
        )
        anything: Any = self
        self.discovery = Discovery(
            named,
            anything,
            lambda host: self.dns.get(host, ()),
            anything,
            accepting=self._accepting,
            resumes=resumes,
            log=Log("debug", lambda line: self.lines.append(json.loads(line))),
            clock=ProcessClock(lambda: self.now, self._wait, lambda: 1.0, lambda: self.now),
        )

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def _accepting(self, addresses: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        self.tried += (asked := sorted(addresses))
        refusing = {task.address for task in self.refusing}
        return {address for address in asked if address[0] not in refusing}

    def tasks(self, service: str, timeout_s: float) -> tuple[TaskAddress, ...]:
        """Cloud Map's answer."""
        assert timeout_s > 0
        self.asked.append(service)
        answer = self.answers[service]
        if isinstance(answer, MeshcertError):
            raise answer
        return answer

    def put(self, name: str, resource: EnvoyResource) -> None:
        """Take endpoints as Envoy does."""
        if self.full:
            raise OSError(28, "No space left on device")
        self.handed += 1
        health = {
            end["endpoint"]["address"]["socket_address"]["address"]: end.get("health_status")
            for each in resource.body["endpoints"]
            for end in each["lb_endpoints"]
        }
        self.envoy[name] = set(health)
        self.closed[name] = {address for address, status in health.items() if status == UNHEALTHY}

    def events(self) -> list[str]:
        """What was logged above the level debug."""
        return [line["event"] for line in self.lines if line["level"] != "debug"]


def test_an_answer_replaces_the_one_before_an_empty_one_too() -> None:
    """What stays is not handed over again, what is new twice: closed, then open; scaled to nothing, there is none."""
    world = World()
    seen = []
    for answer in ((FIRST, SECOND), (FIRST, SECOND), (), (THIRD,)):
        world.answers["teller"] = answer
        assert world.discovery.look()
        seen.append(world.envoy["teller"])

    assert seen == [{"10.0.0.1", "10.0.0.2"}, {"10.0.0.1", "10.0.0.2"}, set(), {"10.0.0.3"}]
    assert world.handed == 5
    assert world.events() == []


def test_a_new_task_gets_requests_once_it_has_accepted_a_connection() -> None:
    """From then on it is not tried again: Envoy judges it."""
    world = World()
    closed = []
    for answer, refusing in (
        ((FIRST,), {FIRST}),
        ((FIRST,), set[TaskAddress]()),
        ((FIRST, SECOND), {FIRST, SECOND}),
        ((FIRST, SECOND), {FIRST}),
    ):
        world.answers["teller"], world.refusing = answer, refusing
        assert world.discovery.look()
        closed.append(world.closed["teller"])

    assert closed == [{"10.0.0.1"}, set(), {"10.0.0.2"}, set()]
    assert [address for address, _ in world.tried] == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"]


@pytest.mark.parametrize("error", [DOWN, DENIED, UNKNOWN], ids=["down", "denied", "unknown"])
def test_the_last_good_answer_serves_on_without_cloud_map(error: MeshcertError) -> None:
    """For 120 looks, whatever DNS says meanwhile; one line when it begins, one when it is over."""
    world = World()
    world.answers["teller"] = (FIRST, SECOND)
    world.discovery.look()
    world.answers["teller"], world.dns["teller.example"] = error, ("10.9.9.9",)

    assert not any(world.discovery.look() for _ in range(120))

    assert world.envoy["teller"] == {"10.0.0.1", "10.0.0.2"}
    assert world.discovery.found_by_dns() == ()
    world.answers["teller"] = (THIRD,)
    assert world.discovery.look()
    assert world.envoy["teller"] == {"10.0.0.3"}
    assert world.events() == ["discovery-waits", "discovery-recovered"]


@pytest.mark.parametrize("error", [DOWN, DENIED, UNKNOWN], ids=["down", "denied", "unknown"])
def test_a_task_that_starts_without_cloud_map_follows_dns_until_it_is_back(error: MeshcertError) -> None:
    """It says for which backend; a denial that comes later is no better than what was found."""
    world = World()
    world.answers["teller"], world.dns["teller.example"] = error, ("10.0.0.1",)
    world.discovery.look()
    assert world.envoy["teller"] == {"10.0.0.1"}
    assert world.discovery.found_by_dns() == ("teller",)

    world.dns["teller.example"] = ("10.0.0.2", "10.0.0.3")
    world.discovery.look()
    world.dns["teller.example"] = ()
    world.discovery.look()
    assert world.envoy["teller"] == {"10.0.0.2", "10.0.0.3"}

    world.answers["teller"] = (FIRST,)
    world.discovery.look()
    assert world.envoy["teller"] == {"10.0.0.1"}
    assert world.discovery.found_by_dns() == ()
    assert world.events() == ["found-by-dns", "discovery-recovered"]


def test_a_callee_that_nobody_knows_yet_has_no_endpoints() -> None:
    """Deployed after its caller: Envoy answers 503 at once, until the next look finds it."""
    world = World()
    world.answers["teller"] = UNKNOWN
    world.discovery.look()

    assert world.envoy["teller"] == set()


def test_a_watcher_that_takes_over_leaves_envoy_what_it_has_until_cloud_map_answers() -> None:
    """DNS knows less than the watcher that died did."""
    world = World(resumes=True)
    world.answers["teller"], world.dns["teller.example"] = DOWN, ("10.9.9.9",)
    world.discovery.look()
    assert world.envoy == {}

    world.answers["teller"] = (FIRST,)
    world.discovery.look()
    assert world.envoy["teller"] == {"10.0.0.1"}


def test_a_resolver_that_hangs_holds_up_no_other_backend() -> None:
    """Its answer counts when it comes; meanwhile nothing is asked twice."""
    answered, asked = threading.Event(), []

    def resolve(name: str) -> tuple[str, ...]:
        asked.append(name)
        answered.wait(10)
        return ("10.0.0.1",)

    lookups = Lookups(resolve)
    assert lookups.ask(["a", "b"], 0.05) == {}
    assert lookups.ask(["a"], 0.05) == {}
    answered.set()

    assert lookups.ask(["a", "b"], 10) == {"a": ("10.0.0.1",), "b": ("10.0.0.1",)}
    assert sorted(asked) == ["a", "b"]


def test_an_outage_is_asked_about_once_a_look_and_each_backend_gets_its_turn() -> None:
    """Ten backends do not wait ten times for an answer, and none is left for last for ever."""
    world = World("a", "b", "c")
    world.answers.update(a=DOWN, b=(FIRST,), c=(SECOND,))
    world.discovery.look()
    assert world.asked == ["a"]

    world.discovery.look()
    assert world.asked == ["a", "b", "c", "a"]
    assert (world.envoy["b"], world.envoy["c"]) == ({"10.0.0.1"}, {"10.0.0.2"})


def test_a_refusal_about_one_backend_is_its_own() -> None:
    """The others are asked all the same."""
    world = World("a", "b")
    world.answers.update(a=DENIED, b=(FIRST,))
    world.discovery.look()

    assert world.asked == ["a", "b"]
    assert world.envoy == {"a": set(), "b": {"10.0.0.1"}}


def test_the_first_question_is_repeated_for_a_moment() -> None:
    """A role that is only seconds old, or a throttled account, is no reason for DNS."""
    world = World()
    world.answers["teller"] = DENIED

    world.discovery.look(FIRST_ANSWER_WITHIN_S)

    assert len(world.asked) > 3
    assert world.now < FIRST_ANSWER_WITHIN_S


def test_a_start_waits_for_an_answer_while_neither_cloud_map_nor_dns_has_one() -> None:
    """Otherwise the first requests would meet a proxy that knows nobody."""
    world = World()
    world.answers["teller"] = DOWN

    def until_it_answers(seconds: float) -> None:
        if seconds >= POLL_INTERVAL_S:
            raise _Ended
        assert not world.discovery.wait(0)
        world.now += seconds
        if world.now > FIRST_ENDPOINTS_WITHIN_S + 1.0:
            world.answers["teller"] = (FIRST,)

    world.discovery._clock = ProcessClock(lambda: world.now, until_it_answers, lambda: 1.0, lambda: world.now)
    with pytest.raises(_Ended):
        world.discovery._run()

    assert world.discovery.wait(0)
    assert world.now < HEALTHY_WITHIN_S
    assert world.envoy["teller"] == {"10.0.0.1"}


def test_questions_come_more_rarely_while_they_fail_and_as_often_as_before_afterwards() -> None:
    """A throttled account is not helped by being asked more."""
    world = World()
    looks: Iterator[tuple[TaskAddress, ...] | MeshcertError] = iter([DOWN, DOWN, DOWN, (FIRST,), (FIRST,)])

    def next_look(seconds: float) -> None:
        world.waits.append(seconds)
        world.now += max(seconds, FIRST_ANSWER_WITHIN_S)
        if seconds < POLL_INTERVAL_S:
            return  # the start asks more often
        answer = next(looks, None)
        if answer is None:
            raise _Ended
        world.answers["teller"] = answer

    world.answers["teller"] = DOWN
    world._wait = next_look  # type: ignore[method-assign]
    world.discovery._clock = ProcessClock(lambda: world.now, next_look, lambda: 1.0, lambda: world.now)
    with pytest.raises(_Ended):
        world.discovery._run()

    poll = POLL_INTERVAL_S
    pauses = [wait for wait in world.waits if wait >= poll]
    assert pauses == [poll, 2 * poll, LONGEST_PAUSE_S, LONGEST_PAUSE_S, poll, poll]


@pytest.mark.parametrize("error", [DOWN, DENIED, UNKNOWN], ids=["down", "denied", "unknown"])
@pytest.mark.parametrize("answer_takes_s", [0.0, 0.3, 2.0])
def test_a_backend_without_an_answer_slows_down_no_other(error: MeshcertError, answer_takes_s: float) -> None:
    """One that is not deployed yet, say: the others' callers learn in time all the same, however slow the answers."""
    world = World("missing", "a", "b")
    world.answers.update(missing=error, a=(FIRST,), b=(SECOND,))
    asked_at: list[float] = []
    tasks, wait = world.tasks, world._wait

    def slowly(service: str, timeout_s: float) -> tuple[TaskAddress, ...]:
        world.now += answer_takes_s
        if service == "a":
            asked_at.append(world.now)
        return tasks(service, timeout_s)

    def twenty_times(seconds: float) -> None:
        if len(asked_at) > 20:
            raise _Ended
        wait(seconds)

    world.tasks = slowly  # type: ignore[method-assign]
    world.discovery._clock = ProcessClock(lambda: world.now, twenty_times, lambda: 1.0, lambda: world.now)
    with pytest.raises(_Ended):
        world.discovery._run()

    between = [later - earlier for earlier, later in pairwise(asked_at)]
    assert max(between[1:]) <= POLL_INTERVAL_S + 3 * answer_takes_s
    assert min(between[1:]) >= ASK_AGAIN_AFTER_S


def test_what_nobody_has_foreseen_ends_one_look_and_not_the_looking() -> None:
    """The log says what it was and where; the look after it is as any other."""
    world = World()
    world.answers["teller"] = (FIRST,)

    def fails(_addresses: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        raise ZeroDivisionError

    def three_pauses(seconds: float) -> None:
        world._wait(seconds)
        world.discovery._accepting = world._accepting
        if len(world.waits) == 3:
            raise _Ended

    world.discovery._accepting = fails
    world.discovery._clock = ProcessClock(lambda: world.now, three_pauses, lambda: 1.0, lambda: world.now)
    with pytest.raises(_Ended):
        world.discovery._run()

    assert [line["error"] for line in world.lines if line["event"] == "internal-fault"] == ["ZeroDivisionError"]
    assert (world.envoy["teller"], world.closed["teller"]) == ({"10.0.0.1"}, set())


def test_a_full_folder_is_no_answer_and_the_next_look_tries_again() -> None:
    """Envoy keeps what it has, and nothing counts as handed over that was not."""
    world = World()
    world.answers["teller"] = (FIRST,)
    world.full = True
    assert not world.discovery.look()
    world.full = False
    assert world.discovery.look()

    assert world.envoy["teller"] == {"10.0.0.1"}


def test_a_stopping_task_accepts_for_longer_than_callers_take_to_learn() -> None:
    """Otherwise requests would meet a closed port."""
    assert DRAIN_S > CALLERS_LEARN_S
