"""What takes effect later than it is said: custom health statuses, and the deregistration of targets."""

from __future__ import annotations

import pytest

from local.aws.fargate.network.custom_health import CustomHealth, Instance
from local.aws.fargate.network.leaving_targets import Lag, LeavingTargets
from tests.local.aws.clocks import MonotonicClock

ONE, TWO = (Instance(("111122223333", "eu-west-1"), "srv-1", name) for name in ("one", "two"))
OLD, NEW = ("127.0.0.1", 8080), ("127.0.0.2", 8080)


@pytest.fixture
def clock() -> MonotonicClock:
    """A clock that stands still until it is moved."""
    return MonotonicClock()


def test_a_status_counts_when_its_delay_is_over(clock: MonotonicClock) -> None:
    """Each instance's own time runs."""
    effective: dict[Instance, str] = {}
    health = CustomHealth(30, effective.__setitem__, clock)

    health.tell(ONE, "HEALTHY")
    clock.pass_by(20)
    health.tell(TWO, "HEALTHY")
    health.apply_due()
    assert effective == {}
    clock.pass_by(10)
    health.apply_due()

    assert effective == {ONE: "HEALTHY"}


def test_the_last_word_counts_and_begins_anew(clock: MonotonicClock) -> None:
    """A status that was taken back in time never shows."""
    seen: list[str] = []
    health = CustomHealth(30, lambda _, status: seen.append(status), clock)

    health.tell(ONE, "UNHEALTHY")
    clock.pass_by(29)
    health.tell(ONE, "HEALTHY")
    clock.pass_by(29)
    health.apply_due()
    assert seen == []
    clock.pass_by(1)
    health.apply_due()

    assert seen == ["HEALTHY"]


def test_without_a_delay_a_status_counts_at_once(clock: MonotonicClock) -> None:
    """The kind behaviour."""
    effective: dict[Instance, str] = {}

    CustomHealth(0, effective.__setitem__, clock).tell(ONE, "UNHEALTHY")

    assert effective == {ONE: "UNHEALTHY"}


def test_what_is_forgotten_never_counts(clock: MonotonicClock) -> None:
    """After a reset no status of before takes effect."""
    effective: dict[Instance, str] = {}
    health = CustomHealth(30, effective.__setitem__, clock)
    health.tell(ONE, "HEALTHY")

    health.forget()
    clock.pass_by(31)
    health.apply_due()

    assert effective == {}


def test_a_deregistered_target_gets_new_connections_for_the_lag(clock: MonotonicClock) -> None:
    """Beside the registered ones, and not a second longer."""
    targets = LeavingTargets(Lag(120), clock)
    assert targets.used([OLD]) == [OLD]

    clock.pass_by(119)
    assert targets.used([NEW]) == [OLD, NEW]
    clock.pass_by(1)

    assert targets.used([NEW]) == [NEW]


def test_a_deregistered_target_that_is_held_gets_new_connections_until_it_is_let_go(clock: MonotonicClock) -> None:
    """However long that is."""
    lag = Lag(120)
    targets = LeavingTargets(lag, clock)
    targets.used([OLD])
    lag.held = True
    clock.pass_by(3600)
    assert targets.used([NEW]) == [OLD, NEW]

    lag.held = False
    assert targets.used([NEW]) == [NEW]


def test_without_a_lag_only_registered_targets_are_used(clock: MonotonicClock) -> None:
    """The kind behaviour."""
    targets = LeavingTargets(Lag(0), clock)
    targets.used([OLD])

    assert targets.used([NEW]) == [NEW]
    assert targets.used([]) == []
