"""Tick and sweep: who is looked at, and how fast."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from evidence.simulation.tables import InMemoryIdentities, InMemoryLifecycle, InMemoryMessages
from meshcert.errors import AwsUnavailable
from meshcert.lifecycle.asking.dispatch import Dispatched, DispatchPorts, dispatch, sweep, sweep_parts, tick
from tests.meshcert.lifecycle.world import IDENTITY, T0
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = dt.timedelta(minutes=1)


class Rooms:
    """A table, a list of identities, a queue and a clock."""

    def __init__(self, identities: int, per_second: float = 4.5) -> None:
        self.table, self.declared, self.messages = InMemoryLifecycle(), InMemoryIdentities(), InMemoryMessages()
        self.clock = FakeClock(T0)
        self.names = [f"identity-{number:05d}" for number in range(identities)]
        self.declared.rows = dict.fromkeys(self.names, IDENTITY)
        self.ports = DispatchPorts(self.table, self.declared, self.messages, self.clock, per_second)

    def unsettle(self) -> None:
        """Every identity has to be looked at."""
        for name in self.names:
            self.table.want(name, self.clock.now())


class TestSweep:
    """All identities."""

    def test_r26_five_thousand_identities_are_all_seen(self) -> None:
        """Once each, spread over the longest time that SQS delays a message (automator's Scan saw the first page)."""
        rooms = Rooms(5000)

        assert sweep(rooms.ports) == Dispatched("sweep", 5000, 5000)

        ((messages, because),) = rooms.messages.sent
        assert (list(messages), because) == (rooms.names, "sweep")
        delays = list(messages.values())
        assert (min(delays), max(delays)) == (0, 900)
        assert max(delays.count(second) for second in set(delays)) <= 6

    def test_looks_follow_each_other_as_fast_as_acm_answers(self) -> None:
        """A thousand at 4.5 a second: never more than five in a second, and no gap."""
        rooms = Rooms(1000)

        sweep(rooms.ports)

        delays = list(rooms.messages.sent[0][0].values())
        assert delays == sorted(delays)
        assert (delays[0], delays[-1]) == (0, 222)
        assert {delays.count(second) for second in range(222)} == {4, 5}

    def test_the_parts_of_a_sweep_are_everybody_once_at_the_pace_of_the_issuer(self) -> None:
        """Ten thousand in three parts, none faster than 4.5 a second; who is in which goes by the name alone."""
        rooms, fewer = Rooms(10_000), Rooms(5_000)

        assert sweep_parts(10_000, 4.5) == 3
        told = [dispatch(json.dumps({"dispatch": "sweep", "part": part, "parts": 3}), rooms.ports) for part in range(3)]
        sweep(fewer.ports, 1, 3)

        sent = [messages for messages, _ in rooms.messages.sent]
        assert sorted(name for messages in sent for name in messages) == rooms.names
        assert [done and (done.identities, done.sent) for done in told] == [(10_000, len(each)) for each in sent]
        assert max(max(messages.values()) for messages in sent) < 900
        assert set(fewer.messages.sent[0][0]) <= set(sent[1])

    @pytest.mark.parametrize(("identities", "parts"), [(0, 1), (4050, 1), (4051, 2), (16_200, 4), (1_000_000, 4)])
    def test_a_sweep_has_as_many_parts_as_it_needs_and_as_an_hour_holds(self, identities: int, parts: int) -> None:
        """Beyond those its looks go faster."""
        assert sweep_parts(identities, 4.5) == parts

    @pytest.mark.parametrize(
        "part", [{"part": 3, "parts": 3}, {"part": -1}, {"parts": 5}, {"part": "0"}, {"parts": True}]
    )
    def test_a_part_that_is_none_is_dropped(self, part: dict[str, object]) -> None:
        """Whatever the message says: a sweep of nobody would look as if all were well."""
        rooms = Rooms(3)

        assert dispatch(json.dumps({"dispatch": "sweep", **part}), rooms.ports) is None
        assert rooms.messages.sent == []

    def test_a_mesh_without_identities_is_no_fault(self) -> None:
        """Nothing is sent."""
        rooms = Rooms(0)

        assert sweep(rooms.ports) == Dispatched("sweep", 0, 0)
        assert rooms.messages.sent == []


class TestTick:
    """Unsettled identities whose time has come."""

    def test_only_what_is_due_is_looked_at(self) -> None:
        """Settled ones, and those that are to wait, are left alone."""
        rooms = Rooms(3)
        rooms.table.want("now", rooms.clock.now())
        rooms.table.want("later", rooms.clock.now() + MINUTE)

        assert tick(rooms.ports) == Dispatched("tick", 1, 1)
        assert rooms.messages.sent == [({"now": 0}, "tick")]

    def test_a_tick_sends_what_is_done_before_the_next_one(self) -> None:
        """More would be sent again while it waits for its turn; those due longest have theirs first."""
        rooms = Rooms(1000)
        for number, name in enumerate(rooms.names):
            rooms.table.want(name, rooms.clock.now() - number * MINUTE)

        assert tick(rooms.ports) == Dispatched("tick", 1000, 270)

        messages, _ = rooms.messages.sent[0]
        assert list(messages) == rooms.names[:-271:-1]
        assert max(messages.values()) == 59

    def test_every_identity_has_its_turn(self) -> None:
        """A thousand due at once, each looked at once, in four ticks."""
        rooms = Rooms(1000)
        rooms.unsettle()
        looked_at: list[str] = []

        for _ in range(4):
            rooms.clock.time += MINUTE
            tick(rooms.ports)
            for name in rooms.messages.sent[-1][0]:
                looked_at.append(name)
                rooms.table.rows[name].look_at = None

        assert sorted(looked_at) == rooms.names

    def test_however_slow_a_tick_sends_one(self) -> None:
        """A rate below one a minute is still a rate."""
        rooms = Rooms(5, per_second=0.001)
        rooms.unsettle()

        assert tick(rooms.ports).sent == 1


class TestMessages:
    """What stands in the queue ``dispatch``."""

    def test_tick_and_sweep(self) -> None:
        """The scheduler's two inputs."""
        rooms = Rooms(2)

        assert dispatch('{"dispatch": "tick"}', rooms.ports) == Dispatched("tick", 0, 0)
        assert dispatch('{"dispatch": "sweep"}', rooms.ports) == Dispatched("sweep", 2, 2)

    @pytest.mark.parametrize(
        "body", ["", "tick", "[]", "null", "7", '{"dispatch": "x"}', '{"dispatch": ["tick"]}', "{}"]
    )
    def test_what_makes_no_sense_is_dropped(self, body: str, caplog: pytest.LogCaptureFixture) -> None:
        """With a line in the log: coming again would not mend it."""
        assert dispatch(body, Rooms(2).ports) is None
        assert "neither tick nor sweep" in caplog.text

    def test_a_table_that_cannot_be_reached_has_the_message_come_again(self) -> None:
        """A sweep is not lost for that."""

        class Broken(InMemoryIdentities):
            def names(self) -> Iterator[str]:
                raise AwsUnavailable("dynamodb:Scan", "identities", "ThrottlingException")

        rooms = Rooms(2)
        ports = DispatchPorts(rooms.table, Broken(), rooms.messages, rooms.clock, 4.5)

        with pytest.raises(AwsUnavailable):
            dispatch('{"dispatch": "sweep"}', ports)
