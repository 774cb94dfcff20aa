"""AWS fails, denies, or is gone: it heals when AWS does, and nothing else is held up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshcert.errors import AccessDenied
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.steps import Action
from tests.meshcert.lifecycle.runs import NAME, THROTTLED, due, failing, kinds, roll_out_badly, steps
from tests.meshcert.lifecycle.world import CERTIFICATE, DAY, HOUR, MINUTE, T0, TELLER
from tests.meshcert.lifecycle.world import LifecycleWorld as World


@pytest.fixture
def world() -> World:
    """A mesh whose first certificate is published, proven and served."""
    return World()


class TestFailures:
    """AWS fails, denies, or is gone: it heals when AWS does, and nothing else is held up."""

    @pytest.mark.parametrize(
        "name",
        ["describe", "version", "labels", "look", "of", "not_after", "renew", "export", "roll_out", "move_label"],
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
        assert [taken.done for taken in result.steps] == [False]
        assert "AccessDeniedException" in result.steps[0].outcome

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

        assert [taken.outcome for taken in result.steps] == [
            "AwsUnavailable: service:Action on arn: ThrottlingException"
        ]
        assert world.audit.told()[-1] == ("renew", result.steps[0].outcome)
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

        result = world.look(around=failing({"roll_out"}, THROTTLED))

        assert steps(result) == [Action.REDEPLOY]
        assert list(world.table.unsettled(world.clock.now() + MINUTE)) == [NAME]

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


class TestRefusals:
    """What only a person can mend is said, tried again ever later, and forgotten once it is done or not wanted."""

    def refused(self, world: World) -> None:
        """ACM has renewed; what comes out of it does not pass the pre-flight."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        world.exporter.rejects.add(world.issued)
        world.look()

    def test_a_refused_export_is_said(self, world: World) -> None:
        """With the pre-flight's words, from the second time on; the good version stays where it is."""
        self.refused(world)
        assert world.exporter.exports == 2
        (result,) = world.tick()
        assert kinds(result) == set()

        (result,) = world.tick()

        assert kinds(result) == {Kind.STEP_FAILING}
        assert result.plan
        (finding,) = result.plan.findings
        assert finding.detail.startswith("export: 2 times since 2026-12-15 12:07 UTC: ExportFailed: the export of ")
        assert "the key does not belong to the certificate" in finding.detail
        assert world.current == world.last_good != world.issued

    def test_a_refused_export_is_tried_ever_later(self, world: World) -> None:
        """At once, after a minute, then after 1, 2, 4, 8, 16 and 24 hours; every sweep says that it fails."""
        self.refused(world)
        tries, begin = [0.0], world.clock.now()

        while world.clock.now() - begin < 3 * DAY:
            before = world.exporter.exports
            world.tick()
            if world.exporter.exports > before:
                tries.append((world.clock.now() - begin) / HOUR)

        assert [round(hours) for hours in tries] == [0, 0, 1, 3, 7, 15, 31, 55]
        assert kinds(world.look(by="sweep")) == {Kind.STEP_FAILING}

    def test_mended_it_goes_on_by_itself(self, world: World) -> None:
        """And nobody is told any more."""
        self.refused(world)
        world.tick()
        world.tick()
        world.exporter.rejects.clear()

        world.settle()

        assert world.served == {world.issued}
        assert world.memory.failures == {}
        assert kinds(world.look()) == set()

    def test_an_order_has_it_tried_at_once(self, world: World) -> None:
        """Whoever mended the cause does not wait."""
        self.refused(world)
        for _ in range(90):
            world.tick()
        world.exporter.rejects.clear()
        refused = world.issued

        world.look("renew", message="m1")

        assert world.current == refused == world.issued

    def test_what_is_not_wanted_any_more_is_forgotten(self, world: World) -> None:
        """A deploy has published another certificate: nothing fails, and nobody is told that it does."""
        self.refused(world)
        world.tick()
        world.exporter.rejects.clear()
        world.exporter.export(NAME, "")

        result = world.look()

        assert Kind.STEP_FAILING not in kinds(result)
        assert world.memory.failures == {}

    def test_what_cannot_be_seen_is_not_forgotten(self, world: World) -> None:
        """ACM cannot be asked for a while: whether the export is still wanted is not known."""
        self.refused(world)
        world.tick()

        world.look(around=failing({"describe"}, THROTTLED))

        assert world.memory.failures["export"].count == 2
        assert kinds(world.look()) == {Kind.STEP_FAILING}

    def test_what_heals_by_itself_is_tried_with_every_tick(self, world: World) -> None:
        """And said after five of them."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        throttled = failing({"export"}, THROTTLED)

        told = [kinds(result) for _ in range(7) for result in world.tick(throttled)]

        assert told == [set()] * 5 + [{Kind.STEP_FAILING}] * 2
        assert world.memory.failures["export"].count == 7

    def test_a_refused_deployment_keeps_no_other_service_from_its_turn(self) -> None:
        """It waits for a person; the other one does not."""
        world = World((TELLER, replace(TELLER, name="teller-2")))
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)

        class Denied:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                return self._redeploy if name == "roll_out" else getattr(self._port, name)

            def _redeploy(self, name: str, place: str = "") -> Any:
                if name == "teller":
                    raise AccessDenied("ecs:UpdateService", name, "AccessDeniedException")
                return self._port.roll_out(name, place)

        for _ in range(8):
            world.tick(Denied)
        assert world.ecs.deployments_begun == ["teller-2"]

        world.settle()
        assert world.served == {world.issued}

    def test_a_refused_roll_back_is_tried_with_every_tick(self, world: World) -> None:
        """A bad version that is current does not wait for anybody."""
        roll_out_badly(world)
        world.pass_time(MINUTE)
        denied = failing({"move_label"}, AccessDenied("secretsmanager:UpdateSecretVersionStage", "s", "AccessDenied"))

        for _ in range(5):
            world.tick(denied)

        assert world.memory.failures["roll back"].count == 5
        assert world.memory.quarantine
        assert world.memory.quarantine.count == 1

    def test_a_call_whose_answer_was_lost_is_remembered(self, world: World) -> None:
        """ECS has begun the deployment: it is known as ours, and the version's first failed task speaks against it."""
        due(world)
        world.look()
        world.pass_time(5 * MINUTE)
        world.look()

        class Lost:
            def __init__(self, port: Any) -> None:
                self._port = port

            def __getattr__(self, name: str) -> Any:
                return self._redeploy if name == "roll_out" else getattr(self._port, name)

            def _redeploy(self, name: str, place: str = "") -> Any:
                self._port.roll_out(name, place)
                raise THROTTLED

        world.pass_time(2 * MINUTE)
        world.look(around=Lost)
        assert world.ecs.deployments_begun == ["teller"]
        world.ecs.bad.add(world.issued)
        world.pass_time(MINUTE)

        assert steps(world.look())[0] is Action.ROLL_BACK
