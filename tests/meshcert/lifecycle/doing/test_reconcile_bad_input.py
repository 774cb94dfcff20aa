"""Rows, acknowledgements and resources that make no sense."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest

from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.observation import Acknowledgement
from tests.meshcert.lifecycle.runs import NAME, due, kinds, steps
from tests.meshcert.lifecycle.world import CERTIFICATE, DAY, HOUR, IDENTITY, MINUTE, ROOT, SECRET, T0
from tests.meshcert.lifecycle.world import LifecycleWorld as World


@pytest.fixture
def world() -> World:
    """A mesh whose first certificate is published, proven and served."""
    return World()


class TestBadInput:
    """Rows, acknowledgements and resources that make no sense."""

    @pytest.mark.parametrize(
        "text",
        ["", "not JSON", "[]", "null", '{"schema":0}', '{"schema":1}', '{"schema":1,"publication":7}', '"x"'],
    )
    def test_a_memory_that_cannot_be_read_is_made_anew(self, world: World, text: str) -> None:
        """Of an older schema, or broken: at worst a wait begins again."""
        world.table.rows[NAME].memory = text
        due(world)

        world.look()
        world.settle()

        assert world.served == {world.issued}
        assert json.loads(world.table.rows[NAME].memory)["schema"] == 1

    def test_an_identity_row_of_an_older_schema_has_no_services_and_no_cas(self, world: World) -> None:
        """Written before they were in it: its material is published, and no task is touched."""
        world.declared.remember(replace(IDENTITY, services=(), certificate_authority_arns=()))
        world.pass_time(336 * DAY)

        world.look()
        world.settle()

        assert world.current == world.issued
        assert world.ecs.deployments_begun == []

    def test_acknowledgements_of_tasks_that_ecs_does_not_list_say_nothing(self, world: World) -> None:
        """Neither that a version is bad nor that it is served."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        forged = Acknowledgement(world.clock.now(), "", refused=world.issued, error="forged")
        world.ecs.forged["gateway"] = {"arn:task/nobody": {NAME: forged}}

        world.look()
        world.settle()

        assert world.quarantined == ""
        assert world.served == {world.issued}

    def test_a_task_cannot_speak_for_another_services_tasks(self, world: World) -> None:
        """Teller's rows that name gateway's tasks: they would call a version served that gateway does not serve."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        new, old = world.issued, world.current
        for task in world.ecs.services["gateway"].tasks:
            task.deaf = True
        said = {NAME: Acknowledgement(world.clock.now(), new)}
        world.ecs.forged["teller"] = {task.arn: said for task in world.ecs.services["gateway"].tasks}

        world.look()
        for _ in range(4):
            world.tick()

        assert (world.current, world.last_good) == (new, old)
        world.settle()
        assert world.served == {world.last_good} == {new}

    def test_a_refusal_of_a_proven_version_changes_nothing(self, world: World) -> None:
        """A task that lies can trigger only what is bounded."""
        task = world.ecs.services["gateway"].tasks[0].arn
        lie = Acknowledgement(world.clock.now(), world.current, refused=world.current, error="forged")
        world.ecs.forged["gateway"] = {task: {NAME: lie}}

        result = world.look()

        assert steps(result) == []
        assert world.quarantined == ""

    def test_acknowledgements_from_the_far_future_are_no_better(self, world: World) -> None:
        """A year 9999 stops no later rotation."""
        task = world.ecs.services["gateway"].tasks[0].arn
        never = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
        said = Acknowledgement(never, world.current, "0" * 32, never)
        world.ecs.forged["gateway"] = {task: {NAME: said}}
        due(world)

        world.look()
        for _ in range(30):
            world.tick()

        assert task not in {running.arn for running in world.ecs.services["gateway"].tasks}
        del world.ecs.forged["gateway"]
        world.settle()
        assert world.served == {world.issued}

    def test_a_certificate_deleted_by_hand_is_an_alarm_and_nothing_else_is_held_up(self, world: World) -> None:
        """Only CloudFormation requests certificates; a rollout under way goes on."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        world.look()
        del world.acm.certificates[CERTIFICATE]

        assert kinds(world.look()) == {Kind.CERTIFICATE_MISSING}
        world.settle()

        assert world.served == {world.current}
        assert world.last_good == world.current

    def test_a_secret_scheduled_for_deletion_is_an_alarm_and_comes_back(self, world: World) -> None:
        """Nothing is done to it meanwhile."""
        secret = world.vault.secrets.pop(SECRET)
        due(world)
        result = world.look()
        assert kinds(result) == {Kind.SECRET_MISSING}
        assert steps(result) == []

        world.vault.secrets[SECRET] = secret
        world.look()
        world.settle()

        assert world.served == {world.issued}

    def test_a_service_that_is_gone_holds_up_no_other(self, world: World) -> None:
        """It is found missing; the others take the version over, and that proves it."""
        del world.ecs.services["teller"]
        due(world)

        world.look()
        world.settle()

        assert world.served == {world.issued} == {world.last_good}
        assert kinds(world.look()) == {Kind.SERVICE_MISSING}

    def test_a_ca_that_is_gone_is_found(self, world: World) -> None:
        """As an alarm of its own."""
        del world.acm.authorities[ROOT]

        assert kinds(world.look()) == {Kind.CA_MISSING}

    def test_a_ca_that_ends_too_soon_stops_renewals_and_says_so_long_before(self, world: World) -> None:
        """Found by a sweep, while there is time to reissue it on the same key; then everything goes on."""
        world.acm.authorities[ROOT] = T0 + 700 * DAY
        assert kinds(world.look()) == {Kind.CA_AGEING}
        due(world)
        world.look()
        world.pass_time(HOUR)
        assert {Kind.CA_TOO_SHORT, Kind.RENEWAL_FAILING} <= kinds(world.look())

        world.acm.authorities[ROOT] = T0 + 3650 * DAY
        world.settle(within=4 * DAY)

        assert world.served == {world.issued}
