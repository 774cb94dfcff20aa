"""New settings of an attached service: one rollout brings them, and never over one of the owner's."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from meshcert.contract import exit_codes
from meshcert.identity import ServiceUse
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.memory import BegunRollout, Memory
from meshcert.proxy import RotationMode
from tests.meshcert.lifecycle.runs import kinds, steps
from tests.meshcert.lifecycle.world import MINUTE
from tests.meshcert.lifecycle.world import LifecycleWorld as World

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FIRST, SECOND = "1" * 64, "2" * 64


def world_of(rotation: RotationMode) -> World:
    """An attached service whose tasks run with the first settings."""
    use = ServiceUse("orders", rotation, 60.0, "shop/orders", attached=True)
    world = World(services=(use,))
    world.ecs.published["orders"] = FIRST
    world.ecs.settle(world.ecs.services["orders"])
    return world


def settings_of(world: World) -> set[str]:
    """What the tasks run with."""
    return {task.settings for task in world.ecs.services["orders"].tasks}


def until_settled(world: World) -> None:
    """Ten minutes of looks."""
    for _ in range(10):
        world.look()
        world.pass_time(MINUTE)


@pytest.mark.parametrize("rotation", list(RotationMode))
def test_new_settings_are_one_rollout(rotation: RotationMode) -> None:
    """Whichever way certificates are taken over; settings that are there already are none."""
    world = world_of(rotation)
    world.ecs.published["orders"] = SECOND
    for task in world.ecs.services["orders"].tasks:
        task.settings = FIRST

    until_settled(world)

    assert settings_of(world) == {SECOND}
    assert world.ecs.deployments_begun == ["orders"]
    until_settled(world)
    assert world.ecs.deployments_begun == ["orders"]


def test_a_deployment_of_the_owners_is_waited_for_and_brings_them_as_well() -> None:
    """Its tasks read the new settings at their start, so none of ours follows."""
    world = world_of(RotationMode.RELOAD)
    service = world.ecs.services["orders"]
    for task in service.tasks:
        task.settings = FIRST
    world.ecs.published["orders"] = SECOND
    world.ecs._deploy(service)

    world.look()

    assert world.ecs.deployments_begun == []
    until_settled(world)
    assert settings_of(world) == {SECOND}
    assert world.ecs.deployments_begun == []


def test_tasks_that_do_not_say_what_they_run_with_are_left_alone() -> None:
    """So are those of a mesh whose task definitions have their settings."""
    world = world_of(RotationMode.RELOAD)
    for task in world.ecs.services["orders"].tasks:
        task.settings = ""
    world.ecs.published["orders"] = SECOND

    until_settled(world)

    assert world.ecs.deployments_begun == []


def test_a_rollout_that_ends_without_them_is_not_begun_again_at_once() -> None:
    """A person is told, and it comes again after ever longer pauses."""
    world = world_of(RotationMode.RELOAD)
    world.ecs.published["orders"] = SECOND

    def old() -> None:
        for task in world.ecs.services["orders"].tasks:
            task.settings = FIRST

    for _ in range(10):
        old()
        world.look()
        world.pass_time(MINUTE)

    assert world.ecs.deployments_begun == ["orders"]


def test_where_only_the_owner_deploys_a_person_is_told_and_nothing_begins() -> None:
    """CODE_DEPLOY, EXTERNAL, and strategies that would shift traffic; reloading needs no deployment."""
    world = world_of(RotationMode.RELOAD)
    service = world.ecs.services["orders"]
    service.refusal = "its deployment controller is CODE_DEPLOY"
    for task in service.tasks:
        task.settings = FIRST
    world.ecs.published["orders"] = SECOND

    result = world.look()

    assert kinds(result) == {Kind.DEPLOYMENT_FAILING}
    until_settled(world)
    assert world.ecs.deployments_begun == []


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (exit_codes.AWS_REFUSED, "its task role lacks the policy that meshcert sidecar orders names"),
        (exit_codes.NOT_PUBLISHED, "deploy the mesh with orders in its file"),
        (exit_codes.SETTINGS, "its image is of an older meshcert"),
        (exit_codes.AWS_REFUSED, "if it has it, a secret is gone: deploy the mesh again"),
        (exit_codes.AWS_UNAVAILABLE, "give its subnets a NAT gateway or endpoints"),
        (exit_codes.STOPPED, "meshcert sidecar orders says what its task needs"),
    ],
)
def test_tasks_of_the_owners_that_cannot_start_are_told_and_no_version_goes_back(code: int, cause: str) -> None:
    """A task role without the policy, an image of another meshcert: its cause and the next step, by the exit code."""
    world = world_of(RotationMode.RELOAD)
    service = world.ecs.services["orders"]
    world.ecs._deploy(service)
    service.newest.excused.append(f"Essential container in task exited; envoy exited with {code}")
    service.newest.excused_code = code

    result = world.look()

    assert result.plan
    (told,) = [finding.detail for finding in result.plan.findings if finding.kind is Kind.DEPLOYMENT_FAILING]
    assert f"envoy exited with {code}" in told
    assert cause in told
    assert steps(result) == []


def test_the_memory_of_a_rollout_for_a_version_reads_as_before() -> None:
    """The version before knows no settings in it, and would take an unknown field for no memory at all."""
    begun = BegunRollout("v", "ecs-svc/1", START)
    plain, new = (Memory().deploying("orders", each) for each in (begun, replace(begun, settings=SECOND)))

    assert "settings" not in plain.to_json()
    assert [Memory.from_json(each.to_json()) for each in (plain, new)] == [plain, new]
