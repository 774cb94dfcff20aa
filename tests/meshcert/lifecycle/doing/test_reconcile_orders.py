"""Orders of operators, and versions that cannot be served."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshcert.errors import AwsUnavailable
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.steps import Action
from tests.meshcert.lifecycle.runs import THROTTLED, due, failing, kinds, steps
from tests.meshcert.lifecycle.world import DAY, GATEWAY, HOUR, MINUTE
from tests.meshcert.lifecycle.world import LifecycleWorld as World


@pytest.fixture
def world() -> World:
    """A mesh whose first certificate is published, proven and served."""
    return World()


class TestOrders:
    """What operators want is done once, or they are told why not."""

    def test_an_order_to_renew_is_a_new_certificate_everywhere(self, world: World) -> None:
        """And its line in the audit log says who and why."""
        world.pass_time(DAY)

        world.look("renew", message="m1", reason="key ceremony")
        world.settle()

        assert world.served == {world.issued}
        assert len(world.acm.serial_numbers) == 2
        entry = next(entry for entry in world.audit.entries if entry.action == "renew")
        assert (entry.by, entry.why, entry.outcome) == ("AROAOPERATOR:alice", "ordered: key ceremony", "done")

    def test_the_same_message_twice_is_one_order(self, world: World) -> None:
        """SQS delivers at least once."""
        world.pass_time(DAY)
        world.look("renew", message="m1")
        world.settle()
        world.pass_time(HOUR)

        world.look("renew", message="m1")
        world.settle()

        assert len(world.acm.serial_numbers) == 2

    def test_r28_a_renewal_every_minute_for_a_day_fits_into_the_secret(self, world: World) -> None:
        """Secrets Manager has room for 100 versions of a day (R28 takes two hours): orders are put together."""
        world.acm.renewal_takes = 0 * MINUTE
        world.pass_time(DAY)
        before = world.versions
        for number in range(24 * 60):
            world.look("renew", message=f"m{number}")
            world.tick()

        assert 80 <= world.versions - before <= 96
        world.settle()
        assert world.served == {world.issued}

    def test_an_order_to_roll_back_goes_to_the_version_before(self, world: World) -> None:
        """Every task serves it again, the one that was left is quarantined, and a fresh certificate follows."""
        world.pass_time(DAY)
        good = world.current
        world.look("renew", message="m1")
        world.settle()
        left = world.current
        world.pass_time(HOUR)

        result = world.look("rollback", message="m2", reason="peers refuse it")

        assert steps(result)[:2] == [Action.ROLL_BACK, Action.REDEPLOY]
        assert (world.current, world.quarantined) == (good, left)
        world.settle()
        assert world.current == world.last_good == world.issued
        assert world.current not in {good, left}
        assert world.served == {world.current}

    def test_an_order_to_roll_back_with_nothing_to_go_back_to_is_refused(self, world: World) -> None:
        """With the reason, and it does not come up again."""
        world.look("rollback", message="m1", reason="drill")

        assert world.audit.told()[-1] == (
            "order to rollback",
            "refused: there is no good version to go back to",
        )
        assert world.memory.order is None

    def test_rolling_back_twice_does_not_bring_the_bad_version_back(self, world: World) -> None:
        """The second order comes before the first one's version is proven."""
        world.pass_time(DAY)
        good = world.current
        world.look("renew", message="m1")
        world.settle()
        world.look("rollback", message="m2")

        world.look("rollback", message="m3")

        assert world.current == good
        assert ("order to rollback", "refused: there is no good version to go back to") in world.audit.told()

    def test_an_order_that_cannot_be_carried_out_is_dropped_after_a_day(self, world: World) -> None:
        """And that is written down; until then it is tried again."""
        broken = failing({"renew"}, THROTTLED)
        world.pass_time(DAY)
        world.look("renew", message="m1", around=broken)
        for _ in range(30):
            world.pass_time(HOUR)
            world.look(around=broken)

        assert world.audit.told()[-1] == ("order to renew", "dropped: it could not be carried out within a day")
        assert world.memory.order is None

    def test_a_later_order_takes_the_place_of_one_that_waits(self, world: World) -> None:
        """Which is written down for whoever gave it."""
        world.look("renew", message="m1", reason="first")
        world.look("renew", message="m2", reason="second")

        assert world.audit.told()[-1] == ("order to renew", "dropped: a later order took its place")
        assert world.memory.order
        assert world.memory.order.reason == "second"

    def test_an_order_is_not_lost_when_the_table_cannot_be_written(self, world: World) -> None:
        """The message comes again."""
        world.pass_time(DAY)
        with pytest.raises(AwsUnavailable):
            world.look("renew", message="m1", around=failing({"save"}, THROTTLED))

        world.look("renew", message="m1")

        assert world.acm.renewals_asked == 1


class TestRollingBack:
    """A version that cannot be served."""

    def test_r29_a_failing_deployment_takes_the_label_back_at_once(self, world: World) -> None:
        """The label goes first, then ECS: no task of ours starts with the bad version again; then a fresh renewal."""
        good = world.current
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        bad = world.issued
        world.ecs.services["gateway"].use = replace(GATEWAY, poll_interval_s=0)
        world.look()
        assert world.ecs.deployments_begun == ["teller"]
        world.ecs.bad.add(bad)

        results = world.tick()

        done = [step for result in results for step in steps(result)]
        assert done[:2] == [Action.ROLL_BACK, Action.REDEPLOY]
        assert (world.current, world.quarantined) == (good, bad)
        world.ecs.started_with.clear()
        world.settle()
        assert bad not in world.ecs.started_with
        assert world.current == world.last_good == world.issued
        assert world.served == {world.current}
        assert world.current != good

    def test_a_refusal_takes_the_label_back(self, world: World) -> None:
        """Running tasks keep what they serve."""
        good = world.current
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        bad = world.issued
        world.ecs.bad.add(bad)

        world.look()
        assert world.current == bad
        world.tick()

        assert (world.current, world.quarantined, world.served) == (good, bad, {good})
        world.settle()
        assert world.served == {world.issued}

    def test_bad_versions_in_a_row_are_renewed_ever_later(self, world: World) -> None:
        """The second at once, the third an hour later, then two: the quota of versions is safe, the good one served."""
        good = world.current
        due(world)
        world.look()
        for _ in range(6 * 60):
            world.tick()
            world.ecs.bad.add(world.issued)

        assert world.current == good
        assert world.served == {good}
        assert 4 <= len(world.acm.serial_numbers) <= 6
        assert world.memory.quarantine
        assert world.memory.quarantine.count >= 3

    def test_tasks_that_fail_for_another_reason_do_not_make_versions_bad_for_ever(self, world: World) -> None:
        """The service is broken: one version is blamed, then the service, and certificates stop being renewed."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        world.ecs.services["teller"].breaks = True
        for _ in range(24 * 60):
            world.tick()

        assert len(world.acm.serial_numbers) <= 3
        assert Kind.DEPLOYMENT_FAILING in kinds(world.look())
        world.ecs.services["teller"].breaks = False
        world.settle(within=2 * DAY)
        assert world.served == {world.issued}

    def test_a_quarantined_version_is_never_promoted_again(self, world: World) -> None:
        """Whatever looks come, until ACM holds another certificate."""
        due(world)
        world.look()
        world.pass_time(2 * MINUTE)
        bad = world.issued
        world.ecs.bad.add(bad)
        world.look()
        world.acm.renewal_takes = 100 * DAY
        for _ in range(30):
            world.tick()

        assert world.quarantined == bad != world.current
        for _ in range(50):
            world.look()
            assert world.current != bad
