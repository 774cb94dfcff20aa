"""A certificate of AWS Private CA is paid for once, whoever asks, how often, and wherever the function ends."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import replace

import pytest

from meshcert.errors import (
    AwsRefused,
    AwsUnavailable,
    CertificatePending,
    CertificateRequestInvalid,
    DeployUnderWay,
    IdentityMissing,
    IssuanceBudgetSpent,
    MeshcertError,
)
from meshcert.issuing.private_ca_lives import certificates_a_day
from meshcert.san import Dns
from tests.meshcert.issuing.issuing_world import FRONT, LIFE, NAMES, TERMS, IssuingWorld
from tests.meshcert.publishing.fakes import Crash, CrashAfter

SOON, LATE = dt.timedelta(minutes=4), dt.timedelta(minutes=10)
MOST_CALLS = 25


def boundaries() -> list[tuple[int, bool]]:
    """Every call of a run, each lost before and after AWS carried it out."""
    return [(call, lands) for call in range(1, MOST_CALLS + 1) for lands in (False, True)]


@pytest.fixture
def world() -> IssuingWorld:
    """An identity that is declared, and not deployed."""
    return IssuingWorld()


def test_a_deploy_has_one_certificate_issued_and_published(world: IssuingWorld) -> None:
    """Its names, its life and its key are the declared ones; a second deploy changes nothing."""
    world.deploy()
    first = world.published

    world.deploy()

    assert list(world.authority.issued) == [world.row.certificate_arn]
    assert world.published == first == world.version(world.row.certificate_arn)
    assert world.row.issued_by_deploy


@pytest.mark.parametrize("wait", [SOON, LATE], ids=["soon", "late"])
@pytest.mark.parametrize(("call", "lands"), boundaries())
@pytest.mark.parametrize("run", ["deploy", "move", "renewal"])
def test_a_crash_at_any_call_costs_nothing_if_the_next_look_comes_soon(
    world: IssuingWorld, run: str, call: int, wait: dt.timedelta, *, lands: bool
) -> None:
    """Within five minutes: one certificate an epoch. Later: at most one more, and then it is told."""
    crash, before = CrashAfter(call, lands=lands), 0
    if run == "move":
        world.have_it_of_acm()
    if run == "renewal":
        world.deploy()
        world.pass_time(LIFE / 2)
        before, old = 1, world.row.certificate_arn

    with contextlib.suppress(Crash):
        if run == "renewal":
            world.replace(old, crash.around)
        else:
            world.deploy(around=crash.around)
    world.pass_time(wait)
    if run == "renewal":
        world.replace(old)
    else:
        world.deploy()

    paid = len(world.authority.issued) - before
    assert paid == 1 or (wait is LATE and crash.happened and paid == 2 and _told(world))
    assert world.published == world.version(world.row.certificate_arn)
    assert not [row for row in world.epochs.rows.values() if row.private_key and row.epoch.published]


def _told(world: IssuingWorld) -> bool:
    return any(row.epoch.asked > 1 for row in world.epochs.rows.values())


@pytest.mark.parametrize(("call", "lands"), [(call, lands) for call in range(1, 8) for lands in (False, True)])
def test_a_late_look_that_dies_as_well_leaves_it_to_the_next_one_to_tell(
    world: IssuingWorld, call: int, *, lands: bool
) -> None:
    """
    The first death comes when Private CA has issued, the second before the row is written. One more at most.

    A call that Private CA did not answer is such a death too: what was counted before it has not been told.
    """
    world.deploy()
    old = world.row.certificate_arn
    for crash, wait in ((CrashAfter(5, lands=True), LATE), (CrashAfter(call, lands=lands), SOON)):
        with contextlib.suppress(Crash):
            world.replace(old, crash.around)
        assert crash.happened
        world.pass_time(wait)

    world.replace(old)

    assert len(world.authority.issued) == 3
    assert world.asked_again == 1


OUTAGES = {
    "throttled": AwsUnavailable("acm-pca:IssueCertificate", "a CA", "ThrottlingException", without_effect=True),
    "not reached": AwsUnavailable("acm-pca:IssueCertificate", "a CA", "ConnectTimeoutError", without_effect=True),
    "refused": AwsRefused("acm-pca:IssueCertificate", "a CA", "ValidationException", "it ends before the leaf"),
}


@pytest.mark.parametrize("error", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("death", [False, True], ids=["", "after a death"])
def test_no_outage_of_private_ca_uses_up_the_budget(world: IssuingWorld, error: MeshcertError, *, death: bool) -> None:
    """Two hours of looks, one a minute: the first one after it gets the certificate; a death before it may cost one."""
    world.deploy()
    old = world.row.certificate_arn
    if death:
        with contextlib.suppress(Crash):
            world.replace(old, CrashAfter(5, lands=True).around)
    with world.authority.refusing(error):
        for _ in range(120):
            world.pass_time(dt.timedelta(minutes=1))
            with pytest.raises(type(error)):
                world.replace(old)

    world.pass_time(dt.timedelta(minutes=1))
    world.replace(old)

    assert world.published == world.version(world.row.certificate_arn)
    assert (len(world.authority.issued), world.asked_again) == (3, 1) if death else (2, 0)


def test_a_death_after_an_outage_is_paid_for_and_told_as_any(world: IssuingWorld) -> None:
    """What was taken back is counted again when it is sent."""
    world.deploy()
    old = world.row.certificate_arn
    with world.authority.refusing(OUTAGES["throttled"]), pytest.raises(AwsUnavailable):
        world.replace(old)
    with contextlib.suppress(Crash):
        world.replace(old, CrashAfter(6, lands=True).around)
    assert len(world.authority.issued) == 2
    world.pass_time(LATE)

    world.replace(old)

    assert (len(world.authority.issued), world.asked_again) == (3, 1)


UNANSWERED = AwsUnavailable("acm-pca:IssueCertificate", "a CA", "ReadTimeoutError")


@pytest.mark.parametrize("silence", [dt.timedelta(minutes=26), dt.timedelta(hours=3), dt.timedelta(days=4)], ids=str)
@pytest.mark.parametrize("life", [dt.timedelta(hours=1), LIFE, 7 * LIFE], ids=str)
def test_no_silence_of_private_ca_uses_up_the_budget(
    world: IssuingWorld, life: dt.timedelta, silence: dt.timedelta
) -> None:
    """
    Each request may have been paid for, so they come ever more rarely: at last as often as the budget allows.

    After it, nobody waits for longer than it has lasted, and the next renewals come in time.
    """
    world.declarations.declared["front"] = replace(TERMS, life=life)
    most = certificates_a_day(life)
    pace, look = dt.timedelta(days=1) / most, max(SOON, silence / 240)
    world.deploy()
    world.pass_time(life / 2)
    old, began = world.row.certificate_arn, world.clock.now()
    with world.authority.refusing(UNANSWERED):
        while world.clock.now() - began < silence:
            with pytest.raises(AwsUnavailable):
                world.replace(old)
            world.pass_time(look)
    ended = world.clock.now()
    asked = max(row.epoch.asked for row in world.epochs.rows.values())

    while world.row.certificate_arn == old:
        with contextlib.suppress(AwsUnavailable):
            world.replace(old)
        world.pass_time(SOON)

    assert world.clock.now() - ended <= min(silence, pace) + 2 * SOON
    assert asked <= most * (silence / dt.timedelta(days=1) + 2)
    for _ in range(3):
        world.pass_time(life / 2)
        world.replace(world.row.certificate_arn)
    assert world.published == world.version(world.row.certificate_arn)


def test_a_request_that_is_refused_after_a_silence_does_not_wait(world: IssuingWorld) -> None:
    """Nor does the new one that has taken the place of a stored one with little life left: nothing was paid for."""
    world.deploy()
    old = world.row.certificate_arn
    with world.authority.refusing(UNANSWERED):
        for _ in range(60):
            with pytest.raises(AwsUnavailable):
                world.replace(old)
            world.pass_time(SOON)
    world.pass_time(LIFE)
    with world.authority.refusing(OUTAGES["throttled"]), pytest.raises(AwsUnavailable, match="ThrottlingException"):
        world.replace(old)
    world.pass_time(dt.timedelta(minutes=1))

    world.replace(old)

    assert world.published == world.version(world.row.certificate_arn)


def test_the_boundaries_above_are_all_there_are(world: IssuingWorld) -> None:
    """Neither run makes more calls than are tried."""
    for run in (world.deploy, lambda around: world.replace(world.row.certificate_arn, around)):
        beyond = CrashAfter(MOST_CALLS, lands=True)
        run(around=beyond.around)
        assert not beyond.happened


def test_triggers_that_come_twice_and_late_change_nothing(world: IssuingWorld) -> None:
    """Whoever asks to replace a certificate that was replaced already is answered, and nothing is paid for."""
    world.deploy()
    first = world.row.certificate_arn
    world.replace(first)
    second = world.row.certificate_arn

    for replaces in (first, first, second, first, second):
        world.replace(replaces)
        world.pass_time(LATE)

    # The second is asked to be replaced once, and then again by the name of before.
    assert len(world.authority.issued) == 3
    assert world.published == world.version(world.row.certificate_arn)


def test_two_functions_at_once_get_one_certificate(world: IssuingWorld) -> None:
    """Both have read the same row, and none has written it yet."""
    world.deploy()
    before = world.row

    arns = {world.issuing().replace("front", before.certificate_arn, TERMS).certificate_arn for _ in range(2)}

    assert len(arns) == 1
    assert len(world.authority.issued) == 2


def test_a_run_that_comes_when_all_is_done_asks_for_nothing(world: IssuingWorld) -> None:
    """It has read the row before another run wrote it; the request is deleted by now."""
    world.deploy()
    before = world.row
    world.replace(before.certificate_arn)

    late = world.issuing().replace("front", before.certificate_arn, TERMS)

    assert late.certificate_arn == world.row.certificate_arn
    assert len(world.authority.issued) == 2


def test_a_certificate_that_takes_its_time_is_waited_for(world: IssuingWorld) -> None:
    """Private CA answers with the ARN at once, and with the certificate a little later."""
    world.authority.pending_looks = 2

    for _ in range(2):
        with pytest.raises(CertificatePending):
            world.deploy()
    world.deploy()

    assert len(world.authority.issued) == 1


def test_a_stored_request_with_little_life_left_is_dropped_for_a_new_one(world: IssuingWorld) -> None:
    """An outage of any length: no identity is stuck, nothing that has ended is published, and the drop is told."""
    world.deploy()
    old = world.row.certificate_arn
    with contextlib.suppress(Crash):
        world.replace(old, CrashAfter(5, lands=True).around)
    world.pass_time(LIFE * 40)

    asked = world.issuing().replace("front", old, TERMS)

    (epoch,) = [row.epoch for row in world.epochs.rows.values() if row.epoch.replaces == old]
    assert (asked.dropped, epoch.number) == (True, 2)
    world.replace(old)
    assert world.published == world.version(world.row.certificate_arn)


def test_a_loop_ends_at_the_budget_of_a_day(world: IssuingWorld) -> None:
    """Somebody orders renewals without an end."""
    world.deploy()
    for _ in range(certificates_a_day(LIFE) - 1):
        world.replace(world.row.certificate_arn)

    with pytest.raises(IssuanceBudgetSpent, match="6 certificates were asked for within a day for front"):
        world.replace(world.row.certificate_arn)

    assert len(world.authority.issued) == certificates_a_day(LIFE)
    world.pass_time(dt.timedelta(days=1))
    world.replace(world.row.certificate_arn)
    assert len(world.authority.issued) == certificates_a_day(LIFE) + 1


class TestForged:
    """Nothing is issued for what CloudFormation does not declare, whoever says it."""

    def test_a_row_with_other_names_is_not_believed(self, world: IssuingWorld) -> None:
        """Somebody has written a name into the table; or a deploy is under way."""
        world.deploy()
        world.table.rows["front"] = replace(world.row, names=(*NAMES, Dns("bank.color.local")))

        with pytest.raises(DeployUnderWay, match="front is declared with other names"):
            world.replace(world.row.certificate_arn)

        assert len(world.authority.issued) == 1

    def test_nothing_is_renewed_by_another_ca_before_a_deploy_has_moved_the_identity(self, world: IssuingWorld) -> None:
        """CloudFormation has changed the parameter; the deploy function may still refuse the CA's root."""
        world.deploy()
        terms = world.declarations.declared["front"]
        world.declarations.declared["front"] = replace(terms, authority_arn=f"{terms.authority_arn}-2")

        with pytest.raises(DeployUnderWay, match="or another CA"):
            world.replace(world.row.certificate_arn)

        assert len(world.authority.issued) == 1

    def test_a_request_of_cloudformation_with_other_names_is_refused(self, world: IssuingWorld) -> None:
        """A forged event: the parameter says what may be issued."""
        with pytest.raises(DeployUnderWay):
            world.deploy(replace(FRONT, names=(Dns("bank.color.local"),)))
        assert not world.authority.issued

    def test_an_identity_that_left_the_mesh_file_gets_nothing_more(self, world: IssuingWorld) -> None:
        """Its row may still be there."""
        world.deploy()
        world.declarations.declared.clear()

        with pytest.raises(IdentityMissing, match="/meshcert/color/issuance/front"):
            world.replace(world.row.certificate_arn)

        assert len(world.authority.issued) == 1

    def test_the_certificate_of_another_identity_is_not_published(self, world: IssuingWorld) -> None:
        """A row that names it: its owner stands in the subject."""
        world.deploy()
        world.declarations.declared["back"] = replace(TERMS, names=(Dns("back.color.local"),))
        foreign = world.issuing().replace("back", "first", world.declarations.declared["back"]).certificate_arn

        assert world.sources().certificates.owner(foreign) == "back"


@pytest.mark.parametrize(
    "change",
    [
        {"names": (*NAMES, Dns("www.color.local"))},
        {"key_algorithm": "EC_secp384r1"},
        {"life": LIFE / 2},
    ],
    ids=["names", "key", "a shorter life"],
)
def test_a_deploy_that_declares_something_else_has_another_certificate_issued(
    world: IssuingWorld, change: dict[str, object]
) -> None:
    """At once: peers of the next step rely on it."""
    world.deploy()
    world.declarations.declared["front"] = replace(TERMS, **change)  # type: ignore[arg-type]

    world.deploy(replace(FRONT, names=world.declarations.declared["front"].names))

    assert len(world.authority.issued) == 2
    assert world.published == world.version(world.row.certificate_arn)


def test_a_deploy_of_other_names_that_is_rolled_back_has_a_third_certificate_issued_once(world: IssuingWorld) -> None:
    """Nobody has the key of the first any more. CloudFormation may ask twice, and it is paid for once."""
    more = (*NAMES, Dns("www.color.local"))
    world.deploy()
    world.declarations.declared["front"] = replace(TERMS, names=more)
    world.deploy(replace(FRONT, names=more))
    world.declarations.declared["front"] = TERMS

    declared = {world.deploy().certificate_arn for _ in range(2)}

    assert declared == {world.row.certificate_arn}
    assert len(world.authority.issued) == 3
    assert world.published == world.version(world.row.certificate_arn)


class TestMoved:
    """Identities that come from ACM, and go back."""

    def test_a_move_that_was_taken_back_is_made_again_with_another_certificate(self, world: IssuingWorld) -> None:
        """Another resource of the deploy had failed. Nobody has the key of what was published then."""
        world.have_it_of_acm()
        world.deploy()
        world.have_it_of_acm()

        world.deploy()

        assert len(world.authority.issued) == 2
        assert world.published == world.version(world.row.certificate_arn)

    def test_what_is_declared_by_then_is_what_is_issued(self, world: IssuingWorld) -> None:
        """The file was changed before the second try."""
        world.have_it_of_acm()
        world.deploy()
        world.have_it_of_acm()
        world.declarations.declared["front"] = replace(TERMS, names=NAMES[1:])

        world.deploy(replace(FRONT, names=NAMES[1:]))

        assert len(world.authority.issued) == 2
        assert world.published == world.version(world.row.certificate_arn)

    def test_a_move_back_that_failed_half_way_is_taken_back(self, world: IssuingWorld) -> None:
        """ACM's certificate is published, and the row still names the one before, whose request is deleted."""
        world.deploy()
        before = world.row
        world.have_it_of_acm()
        world.table.rows["front"] = before

        world.deploy()

        assert len(world.authority.issued) == 2
        assert world.published == world.version(world.row.certificate_arn)


def test_a_stored_request_that_was_spoiled_is_dropped(world: IssuingWorld) -> None:
    """Nothing is sent that does not belong together."""
    world.deploy()
    old = world.row.certificate_arn
    with contextlib.suppress(Crash):
        world.replace(old, CrashAfter(5, lands=True).around)
    (row,) = [row for row in world.epochs.rows.values() if row.epoch.replaces == old]
    row.request = row.request.replace("front.color.local", "bank.color.local")

    with pytest.raises(CertificateRequestInvalid):
        world.epochs.request(row.epoch)
    world.replace(old)

    assert world.published == world.version(world.row.certificate_arn)
