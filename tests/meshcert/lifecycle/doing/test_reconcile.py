"""Looks and steps over working ports in memory: whole rotations."""

from __future__ import annotations

from typing import Any

import pytest

from meshcert.identity import ServiceUse
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.observation import RolloutState
from meshcert.proxy import RotationMode
from tests.meshcert.lifecycle.runs import NAME, THROTTLED, due, failing, kinds, steps
from tests.meshcert.lifecycle.world import CERTIFICATE, DAY, MINUTE, SECRET
from tests.meshcert.lifecycle.world import LifecycleWorld as World


@pytest.fixture
def world() -> World:
    """A mesh whose first certificate is published, proven and served."""
    return World()


class TestRotation:
    """One whole life of a version."""

    def test_a_healthy_mesh_needs_nothing(self, world: World) -> None:
        """A sweep changes nothing and leaves nothing unsettled."""
        result = world.look()

        assert steps(result) == []
        assert result.plan
        assert result.plan.settled
        assert list(world.table.unsettled(world.clock.now() + DAY)) == []

    def test_acms_own_renewal_is_taken_over_to_every_task(self, world: World) -> None:
        """Exported, published, served by running and by new tasks, proven, and renewable again."""
        old = world.current
        world.pass_time(336 * DAY)

        world.look()
        world.settle()

        assert world.current == world.last_good == world.issued != old
        assert world.served == {world.current}
        assert world.acm.certificates[CERTIFICATE].exported
        assert world.acm.renewals_asked == 0
        assert world.audit.told()[1:] == [("export", "done"), ("redeploy", "done"), ("prove", "done")]

    def test_a_renewal_that_did_not_come_is_asked_for_once(self, world: World) -> None:
        """At 0.88 of the lifetime; everything after it follows by ticks."""
        due(world)

        world.look()
        world.settle()

        assert world.acm.renewals_asked == 1
        assert (len(world.acm.serial_numbers), world.versions) == (2, 2)
        assert world.ecs.deployments_begun == ["teller"]
        assert world.served == {world.issued}

    def test_r19_what_was_issued_and_not_published_is_published_not_issued_again(self, world: World) -> None:
        """The export fails for an hour; ACM is not asked a second time."""
        due(world)
        world.look()
        for _ in range(60):
            world.tick(failing({"export"}, THROTTLED))
        assert world.versions == 1

        world.settle()

        assert world.acm.renewals_asked == 1
        assert (len(world.acm.serial_numbers), world.versions) == (2, 2)

    def test_r25_a_renewal_that_takes_ten_minutes_is_waited_for(self, world: World) -> None:
        """Nothing is exported before the serial number has changed, and nothing sleeps."""
        due(world)
        world.acm.renewal_takes = 10 * MINUTE
        exports, published = world.exporter.exports, world.current
        world.look()

        for _ in range(9):
            world.tick()
            assert (world.exporter.exports, world.current) == (exports, published)
        world.settle()

        assert world.current == world.issued != published
        assert world.acm.renewals_asked == 1

    def test_r21_every_epoch_has_another_certificate(self, world: World) -> None:
        """Serial number, key and version change together (that the key does is the export function's test)."""
        due(world)
        world.look()
        world.settle()

        assert len(set(world.acm.serial_numbers)) == len(set(world.vault.secrets[SECRET].values)) - 1 == 2

    def test_a_laggard_is_replaced_by_a_deployment(self, world: World) -> None:
        """One, for a task that does not take the version over in time."""
        deaf = world.ecs.services["gateway"].tasks[0]
        deaf.deaf = True
        due(world)

        world.look()
        world.settle()

        assert deaf not in world.ecs.services["gateway"].tasks
        assert world.ecs.deployments_begun.count("gateway") == 1
        assert world.served == {world.issued}

    def test_a_service_that_never_says_anything_is_reported_and_left_alone_after_one_round(self, world: World) -> None:
        """One deployment replaces them: nothing shows that a new task would say more."""
        gateway = world.ecs.services["gateway"]
        before = {task.arn for task in gateway.tasks}
        due(world)
        world.look()
        for _ in range(60):
            for task in gateway.tasks:
                task.mute = True
            world.tick()

        assert before.isdisjoint(task.arn for task in gateway.tasks)
        assert world.ecs.deployments_begun.count("gateway") == 1
        assert Kind.SERVED_BEHIND in kinds(world.look())

    def test_r23_of_two_renewals_in_a_row_the_newest_wins(self, world: World) -> None:
        """ACM renews twice before anybody looks: one publication, of what ACM holds."""
        world.acm.renew(CERTIFICATE)
        world.pass_time(2 * MINUTE)
        world.acm.export(CERTIFICATE)
        world.acm.renew(CERTIFICATE)
        world.pass_time(2 * MINUTE)

        world.look()
        world.settle()

        assert (len(world.acm.serial_numbers), world.versions) == (3, 2)
        assert world.current == world.issued

    def test_a_certificate_that_changes_between_two_questions_is_not_mixed_up(self, world: World) -> None:
        """ACM shows one in DescribeCertificate and still another in GetCertificate: nothing is published by that."""
        old, old_version = world.acm.held(CERTIFICATE), world.current
        world.acm.renew(CERTIFICATE)
        world.pass_time(2 * MINUTE)

        class Lagging:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                if name == "held":
                    return lambda _: old
                return getattr(self._port, name)

        forgotten = world.table.rows[NAME].memory
        world.table.rows[NAME].memory = ""
        result = world.look(around=Lagging)
        assert Kind.AWS_UNAVAILABLE in kinds(result)
        assert steps(result) == []

        world.table.rows[NAME].memory = forgotten
        world.look()
        world.settle()
        assert world.current == world.issued != old_version


def test_several_redeployed_services_follow_each_other() -> None:
    """Never two at a time, in the mesh file's order."""
    uses = tuple(ServiceUse(f"teller-{number}", RotationMode.REDEPLOY, 60.0) for number in range(3))
    world = World(uses)
    due(world)
    world.look()
    while any(row.look_at for row in world.table.rows.values()):
        world.tick()
        states = [service.newest.state for service in world.ecs.services.values()]
        assert states.count(RolloutState.IN_PROGRESS) <= 1

    assert world.ecs.deployments_begun == ["teller-0", "teller-1", "teller-2"]
    assert world.served == {world.issued}
