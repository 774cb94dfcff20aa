"""A key that has leaked: what is done about it, in which order, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshcert.errors import AwsRefused
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.memory import Memory
from tests.meshcert.issuing.own_issuer import OWN_POLICY, OwnIssuer
from tests.meshcert.lifecycle.runs import THROTTLED, failing, kinds, steps
from tests.meshcert.lifecycle.world import CERTIFICATE, DAY, HOUR, IDENTITY, MINUTE, ROOT, SECRET
from tests.meshcert.lifecycle.world import LifecycleWorld as World


@pytest.fixture
def world() -> World:
    """A mesh whose first certificate was served for a day."""
    world = World()
    world.pass_time(DAY)
    return world


def revoked(world: World) -> list[str]:
    """What was revoked, in this order."""
    serials: list[str] = world.acm.revoked
    return serials


def told(world: World, action: str) -> list[tuple[str, str, str]]:
    """What the audit log says of an action: by whom, why, and how it ended."""
    return [(entry.by, entry.why, entry.outcome) for entry in world.audit.entries if entry.action == action]


@pytest.mark.parametrize("issuer", ["ACM", "another"])
def test_another_key_is_served_everywhere_and_then_the_old_certificate_is_revoked(issuer: str) -> None:
    """Whoever issues. Who said so and why stands in the audit log, before anything is done about it."""
    world = World() if issuer == "ACM" else World(policy=OWN_POLICY, issuer=OwnIssuer)
    world.pass_time(HOUR)
    (serial,) = world.acm.serial_numbers

    result = world.look("compromised", message="m1", reason="it was in a log", version=world.current)
    assert (steps(result), revoked(world)) == ([Action.RENEW], [])
    world.settle()

    assert world.served == {world.issued} == {world.last_good}
    assert (len(world.acm.serial_numbers), revoked(world)) == (2, [serial])
    assert told(world, "compromised") == [("AROAOPERATOR:alice", "it was in a log", f"done: to be revoked: {serial}")]
    assert told(world, "revoke") == [
        ("tick", f"its key is compromised: it was in a log; serial number {serial}", "done")
    ]
    actions = [entry.action for entry in world.audit.entries][-6:]
    assert actions == ["compromised", "renew", "export", "redeploy", "prove", "revoke"]


@pytest.mark.parametrize("never_end", [False, True], ids=["drain", "never end"])
def test_tasks_with_the_old_key_have_ended_when_it_is_revoked_unless_they_take_ten_minutes(
    world: World, *, never_end: bool
) -> None:
    """Their peers would refuse them while they drain. One that never ends keeps no leaked key valid, and is told."""
    old, served_then = world.current, []
    world.ecs.never_end = never_end
    world.acm.on_revoke = lambda: served_then.append((old in world.reachable, world.clock.now()))

    world.look("compromised", message="m1")
    found = [kinds(result) for _ in range(60) if not served_then for result in world.tick()]

    ((still_served, at),) = served_then
    (proven_at,) = [each.at for each in world.audit.entries if each.action == "prove" and each.after == world.issued]
    assert still_served == never_end
    assert any(Kind.DEPLOYMENT_SLOW in each for each in found) == never_end
    if never_end:
        assert 10 * MINUTE <= at - proven_at <= 11 * MINUTE


def test_every_certificate_that_was_published_until_then_is_revoked(world: World) -> None:
    """Whoever could read the last key could have read those before. The newest goes first."""
    for number in range(2):
        world.look("renew", message=f"m{number}")
        world.settle()
        world.pass_time(HOUR)
    serials = list(world.acm.serial_numbers)

    world.look("compromised", message="m3")
    world.settle()

    assert revoked(world) == serials[::-1]
    assert world.acm.serial_numbers[-1] not in revoked(world)


def test_an_order_about_a_version_that_was_replaced_meanwhile_costs_no_renewal(world: World) -> None:
    """A renewal was under way when the operator looked: the new key is the cure, and the old one is revoked."""
    old, (serial,) = world.current, world.acm.serial_numbers
    world.look("renew", message="m1")
    world.settle()
    world.pass_time(5 * MINUTE)

    result = world.look("compromised", message="m2", version=old)

    assert steps(result) == [Action.REVOKE]
    assert (len(world.acm.serial_numbers), revoked(world)) == (2, [serial])


def test_a_certificate_that_is_issued_and_not_published_yet_is_the_cure(world: World) -> None:
    """Nobody could read its key so far."""
    world.acm.renew(CERTIFICATE)
    world.pass_time(MINUTE * 2)

    world.look("compromised", message="m1")
    world.settle()

    assert len(world.acm.serial_numbers) == 2
    assert revoked(world) == world.acm.serial_numbers[:1]


def test_what_proxies_went_back_to_since_is_no_cure(world: World) -> None:
    """The operator saw the newer version, which was rolled back before the order came: the older key goes as well."""
    old = world.current
    world.look("renew", message="m1")
    world.settle()
    newer, serials = world.current, list(world.acm.serial_numbers)
    world.look("rollback", message="m2")
    assert world.current == old

    world.look("compromised", message="m3", version=newer)
    world.settle()

    assert world.served == {world.issued}.difference({old, newer})
    assert set(revoked(world)) == set(serials)


def test_saying_it_twice_changes_nothing(world: World) -> None:
    """By the same message, or by another operator who has seen the same version."""
    version = world.current
    world.look("compromised", message="m1", reason="first", version=version)
    world.pass_time(MINUTE / 2)
    world.look("compromised", message="m2", reason="second", version=version)
    assert world.acm.renewals_asked == 1
    world.settle()

    world.look("compromised", message="m1", version=version)
    world.look("compromised", message="m3", version=version)
    world.settle()

    assert (len(world.acm.serial_numbers), len(revoked(world))) == (2, 1)
    assert [outcome for *_, outcome in told(world, "compromised")][1:] == ["done: known before"] * 2
    assert "first" in told(world, "revoke")[0][1]


def test_said_every_minute_it_fits_into_the_secret(world: World) -> None:
    """Each time of the version that is current then. A secret has room for 100 versions of a day (R28)."""
    world.acm.renewal_takes = 0 * MINUTE
    before = world.versions
    for number in range(6 * 60):
        world.look("compromised", message=f"m{number}")
        world.tick()

    assert world.versions - before <= 25
    world.settle()
    assert world.served == {world.issued}
    assert revoked(world)[-1] == world.acm.serial_numbers[-2]


@pytest.mark.parametrize("version", ["f" * 64, "current"])
def test_a_version_that_was_never_published_is_refused(world: World, version: str) -> None:
    """In the audit log; nothing is renewed or revoked."""
    result = world.look("compromised", message="m1", reason="drill", version=version)

    assert steps(result) == []
    assert world.audit.told()[-1] == ("order about a compromised key", "refused: no such version was published")
    assert (world.memory.order, world.memory.compromise, revoked(world)) == (None, None, [])


def test_no_order_goes_back_onto_a_compromised_key(world: World) -> None:
    """Neither before it is revoked nor after."""
    world.look("compromised", message="m1")
    world.settle()
    new = world.current

    world.look("rollback", message="m2")

    assert world.audit.told()[-1] == ("order to rollback", "refused: there is no good version to go back to")
    assert world.current == new


def test_another_order_does_not_take_its_place_while_secrets_manager_is_out(world: World) -> None:
    """Nobody can say yet which versions there are; the other order is dropped, and the log says why."""
    out = failing({"labels"}, THROTTLED)
    world.look("compromised", message="m1", reason="lost", around=out)
    world.look("renew", message="m2", reason="routine", around=out)

    assert world.audit.told()[-1] == ("order to renew", "dropped: orders about a compromised key come first")
    world.settle()
    assert len(revoked(world)) == 1


def test_orders_that_come_while_another_one_waits_add_up(world: World) -> None:
    """The second operator has seen an older version than the first: neither order is about what the other one is."""
    old = world.current
    world.look("renew", message="m1")
    world.settle()
    new, out = world.current, failing({"labels"}, THROTTLED)
    for number, version in enumerate(("f" * 64, old, new)):
        world.look("compromised", message=f"m2{number}", reason=f"order {number}", version=version, around=out)

    world.look()
    world.settle()

    assert set(revoked(world)) == set(world.acm.serial_numbers[:2])
    assert len(world.acm.serial_numbers) == 3
    assert [why for _, why, _ in told(world, "compromised")] == ["order 1", "order 2"]
    assert [why for _, why, _ in told(world, "order about a compromised key")] == ["order 0"]
    assert (world.memory.order, world.memory.waiting) == (None, ())


def test_orders_without_end_do_not_fill_the_row(world: World) -> None:
    """What is dropped stands in the audit log."""
    for number in range(20):
        world.look("compromised", message=f"m{number}", around=failing({"labels"}, THROTTLED))

    assert len(world.memory.waiting) == 8
    assert len(told(world, "order about a compromised key")) == 11


def test_a_ca_that_refuses_is_told_and_tried_again(world: World) -> None:
    """The new key is served meanwhile; a person mends it, and the next try succeeds."""
    world.look("compromised", message="m1")
    denied = AwsRefused("acm-pca:RevokeCertificate", ROOT, "AccessDeniedException")

    for _ in range(90):
        world.tick(failing({"revoke"}, denied))
    last = world.look(around=failing({"revoke"}, denied))

    assert world.served == {world.issued} == {world.last_good}
    assert Kind.STEP_FAILING in kinds(last)
    assert last.plan
    assert not last.plan.settled
    assert revoked(world) == []
    world.look("renew", message="m2")
    world.settle(within=DAY)
    assert world.acm.serial_numbers[0] in revoked(world)


@pytest.mark.parametrize("ca_is_known", [True, False])
def test_a_certificate_of_an_acm_certificate_of_before_is_revoked_where_it_was_signed(
    world: World, *, ca_is_known: bool
) -> None:
    """The identity has moved to another hierarchy since. A row of a version before does not know the CA."""
    old, (serial,) = world.current, world.acm.serial_numbers
    moved = replace(world.identity, certificate_arn=f"{CERTIFICATE}-2", certificate_authority_arns=("arn:other",))
    world.declared.remember(moved)
    world.acm.authorities["arn:other"] = world.acm.authorities[ROOT]
    world.acm.issue(moved.certificate_arn)
    if not ca_is_known:
        world.table.rows[IDENTITY.name].memory = replace(world.memory, authorities={}).to_json()
    world.look()
    world.settle()
    world.pass_time(5 * MINUTE)

    world.look("compromised", message="m1", version=old)

    (entry,) = told(world, "compromised")
    by_hand = "to be revoked by hand, for its CA is yours, or it or its serial number is not known"
    assert entry[2] == f"done: {'to be revoked' if ca_is_known else by_hand}: {serial}"
    assert (revoked(world), world.acm.revoked_by) == (([serial], [ROOT]) if ca_is_known else ([], []))


def test_with_the_memory_lost_it_is_ordered_again(world: World) -> None:
    """The table was restored from nothing between order and renewal."""
    world.look("compromised", message="m1", version=world.current)
    old = world.current
    world.table.rows[IDENTITY.name].memory = Memory().to_json()
    world.settle()
    assert revoked(world) == []

    result = world.look("compromised", message="m2", version=old)

    assert world.vault.labels(SECRET)[old]
    assert steps(result) in ([Action.REVOKE], [])


class TestLeaving:
    """The identity leaves the mesh file before its compromised certificate is revoked: nobody may forget that."""

    @pytest.fixture
    def leaving(self, world: World) -> World:
        """Ordered a minute ago, when the tasks still served the old key."""
        world.look("compromised", message="m1", reason="lost", version=world.current)
        world.pass_time(MINUTE)
        del world.declared.rows[IDENTITY.name]
        return world

    def test_it_is_revoked_before_the_identity_is_forgotten(self, leaving: World) -> None:
        """At once: no service of the mesh has to serve it any more."""
        leaving.look()

        assert revoked(leaving) == leaving.acm.serial_numbers[:1]
        assert IDENTITY.name not in leaving.table.rows
        ((_, why, outcome),) = told(leaving, "revoke")
        assert (outcome, "no mesh file declares the identity any more" in why) == ("done", True)

    def test_an_outage_is_waited_for(self, leaving: World) -> None:
        """With every tick, until the certificate is revoked."""
        leaving.look(around=failing({"revoke"}, THROTTLED))
        assert (revoked(leaving), IDENTITY.name in leaving.table.rows) == ([], True)

        leaving.tick()
        leaving.tick()

        assert (len(revoked(leaving)), IDENTITY.name in leaving.table.rows) == (1, False)

    def test_one_that_its_ca_refuses_to_revoke_is_told(self, leaving: World) -> None:
        """The row has to go at some time; the audit log is kept for ten years."""
        leaving.look(around=failing({"revoke"}, AwsRefused("acm-pca:RevokeCertificate", ROOT, "InvalidState")))

        assert IDENTITY.name not in leaving.table.rows
        assert "to be revoked by hand: AwsRefused" in told(leaving, "revoke")[0][2]

    def test_an_order_that_was_not_taken_up_yet_is_told(self, world: World) -> None:
        """Secrets Manager was out, so nobody knows which certificates it is about."""
        world.look("compromised", message="m1", around=failing({"labels"}, THROTTLED))
        del world.declared.rows[IDENTITY.name]

        world.look()

        assert "revoke by hand" in told(world, "order about a compromised key")[0][2]
        assert IDENTITY.name not in world.table.rows


def test_a_certificate_for_the_same_key_is_no_cure(world: World) -> None:
    """AWS says that a renewal makes a new key pair. If one ever kept it, it is not published, and a person is told."""
    world.acm.keeps_keys = True
    old = world.current
    world.look("compromised", message="m1")
    world.pass_time(2 * MINUTE)

    last = world.look()

    assert (world.current, world.versions, revoked(world)) == (old, 1, [])
    assert Kind.CERTIFICATE_UNUSABLE in kinds(last)
    assert world.memory.is_compromised(world.issued)
