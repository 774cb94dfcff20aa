"""AWS fails, denies, or is gone: it heals when AWS does, and nothing else is held up."""

from __future__ import annotations

import pytest

from meshcert.errors import AccessDenied
from meshcert.lifecycle.findings import Kind
from meshcert.lifecycle.steps import Action
from tests.lifecycle.runs import NAME, THROTTLED, due, failing, kinds, steps
from tests.lifecycle.world import CERTIFICATE, DAY, HOUR, MINUTE, T0
from tests.lifecycle.world import LifecycleWorld as World


@pytest.fixture
def world() -> World:
    """A mesh whose first certificate is published, proven and served."""
    return World()


class TestFailures:
    """AWS fails, denies, or is gone: it heals when AWS does, and nothing else is held up."""

    @pytest.mark.parametrize(
        "name",
        ["describe", "version", "labels", "look", "of", "not_after", "renew", "export", "redeploy", "move_label"],
    )
    def test_r2_whatever_cannot_be_reached_is_tried_again(self, world: World, name: str) -> None:
        """Three hours of it, never terminal: when it answers again, the rotation ends as it would have."""
        due(world)
        broken = failing({name}, THROTTLED)
        world.look(around=broken)
        for _ in range(180):
            world.tick(broken)

        world.look()
        world.settle()

        assert world.served == {world.issued}
        assert (len(world.acm.serial_numbers), world.versions) == (2, 2)
        assert world.ecs.deployments_begun == ["teller"]

    def test_r3_denied_and_then_granted_needs_no_operator(self, world: World) -> None:
        """While it lasts, it is found and said."""
        due(world)
        denied = failing({"renew"}, AccessDenied("acm:RenewCertificate", CERTIFICATE, "AccessDeniedException"))
        result = world.look(around=denied)
        assert [deed.done for deed in result.deeds] == [False]
        assert "AccessDeniedException" in result.deeds[0].outcome

        world.settle()

        assert world.served == {world.issued}

    def test_r3_a_missing_permission_on_the_ca_is_found_and_survived(self, world: World) -> None:
        """ACM answers 200 and renews nothing; the finding names the remedy; once mended, it is asked again in time."""
        due(world)
        world.acm.permitted = False
        world.look()
        world.pass_time(HOUR)
        result = world.look()
        assert kinds(result) == {Kind.RENEWAL_FAILING}
        assert result.plan
        assert "AWS::ACMPCA::Permission" in result.plan.findings[0].detail

        world.acm.permitted = True
        world.settle(within=4 * DAY)

        assert world.served == {world.issued}
        assert len(world.acm.serial_numbers) == 2

    def test_r5_after_a_long_outage_it_recovers_by_itself(self, world: World) -> None:
        """ACM is out from before the threshold until a day before the end; the certificate never expires."""
        due(world)
        out = failing({"describe", "renew"}, THROTTLED)
        for _ in range(45):
            world.pass_time(DAY)
            assert Kind.AWS_UNAVAILABLE in kinds(world.look(around=out))

        world.look()
        world.settle()

        assert world.served == {world.issued}
        assert world.clock.now() < T0 + world.acm.lifetime

    def test_one_failing_step_does_not_end_a_run_in_disorder(self, world: World) -> None:
        """Its outcome is written down, the lease is given back, the next tick repeats it."""
        due(world)

        result = world.look(around=failing({"renew"}, THROTTLED))

        assert [deed.outcome for deed in result.deeds] == ["AwsUnavailable: service:Action on arn: ThrottlingException"]
        assert world.audit.told()[-1] == ("renew", result.deeds[0].outcome)
        assert list(world.table.unsettled(world.clock.now() + MINUTE)) == [NAME]

    def test_a_failed_step_does_not_wait_for_what_may_take_days(self, world: World) -> None:
        """A renewal was asked for a day ago and is looked at rarely; a step that fails now is repeated soon."""
        due(world)
        world.look()
        world.settle()
        world.acm.certificates[CERTIFICATE].renewal_status = ""
        world.acm.renewal_takes = 2 * DAY
        world.pass_time(HOUR)
        world.look("renew", message="m1")
        world.pass_time(DAY)
        laggard = world.ecs.services["gateway"].tasks[0]
        laggard.serves, laggard.deaf = "0" * 64, True

        result = world.look(around=failing({"stop_task"}, THROTTLED))

        assert steps(result) == [Action.STOP_TASK]
        assert list(world.table.unsettled(world.clock.now() + MINUTE)) == [NAME]

    def test_a_refused_export_is_said_and_tried_again(self, world: World) -> None:
        """A pre-flight that finds faults keeps the good version where it is."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        world.exporter.rejects.add(world.issued)

        result = world.look()

        (deed,) = result.deeds
        assert "MaterialRejected" in deed.outcome
        assert world.current == world.last_good != world.issued

    def test_no_rotation_waits_for_the_audit_log(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """What it could not take is in the function's own log."""
        due(world)

        world.look(around=failing({"record"}, THROTTLED))

        assert world.acm.renewals_asked == 1
        assert '"action":"renew"' in caplog.text

    def test_the_last_complete_look_is_remembered(self, world: World) -> None:
        """A look that could not see everything does not count."""
        seen = world.memory.looked_at
        world.pass_time(DAY)

        world.look(around=failing({"not_after"}, THROTTLED))
        assert world.memory.looked_at == seen

        world.look()
        assert world.memory.looked_at == world.clock.now()
