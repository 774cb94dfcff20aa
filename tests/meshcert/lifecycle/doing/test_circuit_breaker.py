"""An owner's circuit breaker rolls deployments back by itself, while a bad certificate is what tasks read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshcert.identity import ServiceUse
from meshcert.lifecycle.observation import RolloutState
from meshcert.proxy import RotationMode
from tests.meshcert.lifecycle.runs import due
from tests.meshcert.lifecycle.world import DAY, HOUR, MINUTE
from tests.meshcert.lifecycle.world import LifecycleWorld as World

if TYPE_CHECKING:
    from tests.meshcert.lifecycle.ecs import SimulatedService

ORDERS = ServiceUse("orders", RotationMode.REDEPLOY, 60.0, "shop/orders", attached=True)


@pytest.fixture
def world() -> World:
    """An attached service whose circuit breaker rolls back, and a renewed certificate that no Envoy will open."""
    world = World(services=(ORDERS,))
    orders(world).rolls_back = True
    due(world)
    world.look()
    world.pass_time(2 * MINUTE)
    world.ecs.bad.add(world.issued)
    return world


def orders(world: World) -> SimulatedService:
    """The service."""
    return world.ecs.services["orders"]


def ends_well(world: World, good: str, bad: str) -> None:
    """The label goes back, no task ever serves what is bad, and the next certificate comes into all of them."""
    while world.current != good:
        assert world.served == {good}
        world.tick()
    assert world.quarantined == bad
    world.settle(within=2 * DAY)
    assert (orders(world).told.state, len(orders(world).tasks)) == (RolloutState.COMPLETED, 2)
    assert world.served == {world.issued}
    assert world.issued not in {good, bad}


def test_our_deployment_of_a_bad_certificate_goes_back_before_or_after_the_breaker(world: World) -> None:
    """The first task that fails is enough; what ECS rolls back meanwhile is the same tasks."""
    good, bad = world.current, world.issued

    world.look()

    assert world.ecs.deployments_begun == ["orders"]
    ends_well(world, good, bad)
    assert len(world.ecs.deployments_begun) <= 4


def test_what_ecs_has_rolled_back_unseen_is_tried_again_and_goes_back(world: World) -> None:
    """Nobody has looked while its tasks failed: the next try is looked at."""
    good, bad = world.current, world.issued
    world.look()
    world.pass_time(HOUR)
    assert orders(world).told.state is RolloutState.COMPLETED
    assert world.served == {good}

    ends_well(world, good, bad)


def test_an_owners_deployment_that_fails_on_a_bad_certificate_is_rolled_back_in_peace(world: World) -> None:
    """None of ours begins before the owner's has ended; its failed tasks are not held against the certificate."""
    good, bad = world.current, world.issued
    theirs = world.ecs._deploy(orders(world))

    world.look()
    while orders(world).told.id == theirs and orders(world).told.state is RolloutState.IN_PROGRESS:
        assert world.ecs.deployments_begun == []
        world.tick()

    assert theirs in {each.id for each in orders(world).deployments if each.state is RolloutState.FAILED}
    ends_well(world, good, bad)


def test_a_rollback_that_has_to_start_tasks_does_not_wait_for_the_label_for_ever(world: World) -> None:
    """
    The owner's deployment had replaced one task before the certificate was bad.

    ECS's rollback has to start that one again, and it reads the bad certificate: no task of it stays until the label
    has gone back. A deployment of ours ends the rollback, fails at once, and takes the label back.
    """
    good, bad = world.current, world.issued
    theirs = world.ecs._deploy(orders(world))
    world.pass_time(MINUTE / 2)
    assert [task.deployment == theirs for task in orders(world).tasks].count(True) == 1

    world.look()

    ends_well(world, good, bad)
