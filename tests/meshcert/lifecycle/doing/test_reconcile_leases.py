"""One works at a time, and no fact is lost."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.errors import AwsUnavailable, IdentityUnreadable, LeaseLost, LeaseTaken
from meshcert.lifecycle.asking.looks import Look
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.doing.reconcile import MEANWHILE, MOST_LOOKS_AGAIN, MOST_STEPS, Reconciled, reconcile
from meshcert.lifecycle.orders import RENEW
from tests.meshcert.lifecycle.runs import NAME, THROTTLED, due, failing, roll_out_badly, steps
from tests.meshcert.lifecycle.world import CERTIFICATE, GATEWAY, HOUR, LEASE_S, MINUTE
from tests.meshcert.lifecycle.world import LifecycleWorld as World

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.lifecycle.ports import Lease


def at_release(happens: Callable[[], object], times: int = 1) -> Callable[[Any], Any]:
    """A wrapper of ports: something happens just before the lease is given back, so often."""
    left = times

    class Late:
        def __init__(self, port: Any) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:
            nonlocal left
            if name == "release" and left:
                left -= 1
                happens()
            return getattr(self._port, name)

    return Late


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
        """The second leaves a mark and goes; the first looks again for it, and renews no second time."""
        due(world)
        inside: list[Reconciled] = []

        class Doubled:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                if name == "renew":
                    inside.append(world.look())
                return getattr(self._port, name)

        result = world.look(around=Doubled)

        assert [other.plan for other in inside] == [None]
        assert steps(result) == [Action.RENEW]
        assert world.acm.renewals_asked == 1
        assert list(world.table.unsettled(world.clock.now())) == []

    def test_a_fact_that_arrives_while_an_identity_is_leased_is_not_lost(self, world: World) -> None:
        """The first has seen everything and calls it settled; ACM renews; the event's look finds the lease taken."""

        def renewed() -> None:
            world.acm.renew(CERTIFICATE)
            world.pass_time(2 * MINUTE)
            world.look()

        result = world.look(around=at_release(renewed))

        assert steps(result) == [Action.EXPORT]
        assert world.current == world.issued
        assert world.versions == 2

    def test_a_failed_task_is_answered_although_a_look_is_running(self, world: World) -> None:
        """The label goes back at once, by the run that had seen nothing of it: ten seconds are less than a tick."""
        roll_out_badly(world)

        def task_fails() -> None:
            world.pass_time(MINUTE)
            world.look()

        result = world.look(around=at_release(task_fails))

        assert steps(result) == [Action.ROLL_BACK, Action.REDEPLOY, Action.RENEW]
        assert world.current == world.last_good
        assert {entry.by for entry in world.audit.entries[-3:]} == {MEANWHILE}

    def test_what_came_meanwhile_adds_to_what_was_done(self, world: World) -> None:
        """One message, one result; what was done before the news counts too."""
        due(world)

        def renewed() -> None:
            world.pass_time(2 * MINUTE)
            world.look()

        result = world.look(around=at_release(renewed))

        assert steps(result) == [Action.RENEW, Action.EXPORT]
        assert result.plan
        assert "gateway" in result.plan.step.why

    def test_news_without_end_are_left_to_the_clock(self, world: World) -> None:
        """No run lasts for ever; the mark stays, and the next tick goes on."""
        asked: list[Reconciled] = []

        world.look(around=at_release(lambda: asked.append(world.look()), times=100))

        assert len(asked) == 1 + MOST_LOOKS_AGAIN
        assert list(world.table.unsettled(world.clock.now())) == [NAME]

    def test_news_that_come_too_late_are_left_to_the_clock(self, world: World) -> None:
        """The function is about to end: a run that is killed would hold the identity up for longer than a tick."""
        asked: list[Reconciled] = []
        ports = world.ports(at_release(lambda: asked.append(world.look()), times=100))

        reconcile(Look(NAME, "event"), "request", ports, until=world.clock.now())

        assert len(asked) == 1
        assert list(world.table.unsettled(world.clock.now())) == [NAME]

    def test_who_came_just_before_the_release_looks_itself(self, world: World) -> None:
        """It found the lease taken, and its mark comes too late for the other to see."""
        due(world)
        now = world.clock.now()
        lease = world.table.take(NAME, "somebody else", now, now + HOUR)
        assert lease
        held: Lease = lease

        class Late:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                if name == "want":
                    world.table.release(held, held.memory, None)
                return getattr(self._port, name)

        assert steps(world.look(around=Late)) == [Action.RENEW]
        assert world.table.rows[NAME].owner == ""

    def test_whoever_is_quicker_looks_for_the_news(self, world: World) -> None:
        """Between two looks the lease is free; what this run had done is told all the same."""
        due(world)
        takes = 0

        class Overtaken:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                nonlocal takes
                takes += name == "take"
                if name == "release":
                    world.look()
                if name == "take" and takes > 1:
                    world.table.take(NAME, "the quicker one", world.clock.now(), world.clock.now() + HOUR)
                return getattr(self._port, name)

        result = world.look(around=Overtaken)

        assert steps(result) == [Action.RENEW]
        assert result.plan
        assert world.table.rows[NAME].owner == "the quicker one"

    def test_what_another_look_has_seen_is_not_looked_at_again(self, world: World) -> None:
        """AWS is asked nothing, and the identity stays what it was."""
        now = world.clock.now()
        world.look()

        result = world.look(seen_since=now, around=failing({"describe", "labels", "take", "want"}, AssertionError()))

        assert (result.steps, result.plan) == ((), None)
        assert list(world.table.unsettled(now + HOUR)) == []

    def test_what_came_after_the_last_look_is_looked_at(self, world: World) -> None:
        """It has not been seen."""
        world.look()

        result = world.look(seen_since=world.clock.now() + dt.timedelta(seconds=1))

        assert result.plan

    def test_a_look_that_failed_leaves_the_identity_to_the_clock(self, world: World) -> None:
        """Its message comes again and is not taken again: a tick looks."""
        world.pass_time(MINUTE)
        sent = world.clock.now()
        with pytest.raises(ZeroDivisionError):
            world.look(seen_since=sent, around=failing({"describe"}, ZeroDivisionError()))

        assert world.look(seen_since=sent).plan is None
        assert list(world.table.unsettled(world.clock.now())) == [NAME]

    def test_an_order_is_carried_out_whoever_has_looked(self, world: World) -> None:
        """It says something that no look shows."""
        world.pass_time(HOUR)
        world.look()

        assert steps(world.look(RENEW)) == [Action.RENEW]

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

    def test_an_identity_whose_row_makes_no_sense_is_not_forgotten(self, world: World) -> None:
        """Its message comes again, ends as a dead letter and raises an alarm; once the row is written, all goes on."""
        before = dict(world.table.rows)
        world.declared.unreadable.add(NAME)

        with pytest.raises(IdentityUnreadable, match=NAME):
            world.look()

        assert world.table.rows == before
        world.declared.remember(world.identity)
        assert world.look().plan

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
