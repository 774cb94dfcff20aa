"""One works at a time, and no fact is lost."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from meshcert.errors import AwsUnavailable, LeaseLost, LeaseTaken
from meshcert.lifecycle.reconcile import MOST_STEPS, Reconciled
from meshcert.lifecycle.steps import Action
from tests.lifecycle.runs import NAME, THROTTLED, due, failing, steps
from tests.lifecycle.world import CERTIFICATE, GATEWAY, HOUR, LEASE_S, MINUTE
from tests.lifecycle.world import LifecycleWorld as World


@pytest.fixture
def world() -> World:
    """A mesh whose first certificate is published, proven and served."""
    return World()


class TestLease:
    """One works at a time; nobody is held up for ever, and no fact is lost."""

    def taken(self, world: World, seconds: float = LEASE_S) -> None:
        """Somebody else is at work."""
        now = world.clock.now()
        assert world.table.take(NAME, "somebody else", now, now + dt.timedelta(seconds=seconds))

    def test_r16_of_two_at_once_one_works(self, world: World) -> None:
        """The second leaves a mark and goes; what it came for is looked at when the first is done."""
        due(world)
        inside: list[Reconciled] = []

        class Doubled:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                if name == "renew":
                    inside.append(world.look())
                return getattr(self._port, name)

        world.look(around=Doubled)

        assert [result.plan for result in inside] == [None]
        assert world.acm.renewals_asked == 1
        assert list(world.table.unsettled(world.clock.now())) == [NAME]

    def test_a_fact_that_arrives_while_an_identity_is_leased_is_not_lost(self, world: World) -> None:
        """The first has seen everything and calls it settled; ACM renews; the event's look finds the lease taken."""

        class Late:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                if name == "release":
                    world.acm.renew(CERTIFICATE)
                    world.pass_time(2 * MINUTE)
                    world.look()
                return getattr(self._port, name)

        world.look(around=Late)
        world.settle()

        assert world.current == world.issued
        assert world.versions == 2

    def test_the_clocks_looks_leave_no_mark(self, world: World) -> None:
        """Nothing has happened; a mark for every tick in haste would be the reason for the next, without end."""
        self.taken(world)

        for by in ("tick", "sweep"):
            world.look(by=by)

        assert world.table.rows[NAME].wanted == 0

    def test_a_mere_look_leaves_when_the_lease_is_taken(self, world: World) -> None:
        """Its message is done with."""
        self.taken(world)

        assert world.look() == Reconciled(NAME)

    def test_an_order_comes_again_when_the_lease_is_taken(self, world: World) -> None:
        """It is not lost, and carried out as soon as it can be."""
        self.taken(world)
        with pytest.raises(LeaseTaken, match=NAME):
            world.look("renew", message="m1")

        world.pass_time(HOUR)
        world.look("renew", message="m1")

        assert world.acm.renewals_asked == 1

    def test_who_was_too_slow_writes_nothing_more(self, world: World) -> None:
        """Another run has taken over: no second deployment, no memory, no release."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)

        class Slow:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                if name == "export":
                    world.pass_time(dt.timedelta(seconds=LEASE_S))
                    world.table.take(NAME, "the next", world.clock.now(), world.clock.now() + HOUR)
                return getattr(self._port, name)

        world.ecs.services["gateway"].use = replace(GATEWAY, poll_interval_s=0)
        with pytest.raises(LeaseLost, match=NAME):
            world.look(around=Slow)

        assert world.ecs.deployments_begun == []
        assert world.table.rows[NAME].owner == "the next"

    def test_an_identity_that_is_not_declared_any_more_leaves_nothing(self, world: World) -> None:
        """Its row goes, its lease with it."""
        del world.declared.rows[NAME]

        assert world.look() == Reconciled(NAME)
        assert world.table.rows == {}

    def test_a_lease_that_cannot_be_given_back_runs_out(self, world: World) -> None:
        """The run's result stands, and a later tick looks."""
        due(world)

        result = world.look(around=failing({"release"}, THROTTLED))

        assert steps(result) == [Action.RENEW]
        world.pass_time(dt.timedelta(seconds=LEASE_S))
        world.settle()
        assert world.current == world.issued
        assert len(world.acm.serial_numbers) == 2

    def test_a_table_that_cannot_be_reached_has_the_message_come_again(self, world: World) -> None:
        """No lease, no look."""
        with pytest.raises(AwsUnavailable):
            world.look(around=failing({"take"}, THROTTLED))

    def test_a_fault_of_ours_gives_the_lease_back_and_stays_visible(self, world: World) -> None:
        """The error goes up; the identity is unsettled and free."""
        with pytest.raises(ZeroDivisionError):
            world.look(around=failing({"describe"}, ZeroDivisionError()))

        assert world.table.rows[NAME].owner == ""
        assert list(world.table.unsettled(world.clock.now())) == [NAME]

    def test_no_run_takes_more_than_so_many_steps(self, world: World) -> None:
        """A plan that never ends would be a fault of ours; the next tick goes on."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)

        class Forgetful:
            """Exports that have no effect."""

            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                if name == "export":
                    return lambda _, version: version
                return getattr(self._port, name)

        result = world.look(around=Forgetful)

        assert steps(result) == [Action.EXPORT] * MOST_STEPS
        assert list(world.table.unsettled(world.clock.now() + MINUTE)) == [NAME]
