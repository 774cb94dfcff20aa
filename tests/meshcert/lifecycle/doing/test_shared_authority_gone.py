"""The account with the CAs is gone: its cells cannot renew and say so, everything else goes on; others see nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshcert.errors import AccessDenied
from meshcert.lifecycle.deciding.findings import Kind
from tests.meshcert.issuing.own_issuer import OWN, OWN_POLICY, OwnIssuer
from tests.meshcert.lifecycle.runs import NAME, due, failing, kinds
from tests.meshcert.lifecycle.world import DAY, HOUR, MINUTE, ROOT
from tests.meshcert.lifecycle.world import LifecycleWorld as World
from tests.meshcert.publishing.fakes import UNANSWERED

GONE = failing({"not_after"}, AccessDenied("acm-pca:GetCertificateAuthorityCertificate", ROOT, "AccessDeniedException"))
"""Nobody shares the CA any more, so even its certificate is denied."""
OF_ITS_CA = {Kind.CA_MISSING, Kind.CA_AGEING, Kind.CA_TOO_SHORT}


class RenewingAnew(OwnIssuer):
    """One that gives each renewal a moment of its own."""

    can = replace(OWN, renews_anew=True)


@pytest.fixture
def cell() -> World:
    """A cell whose CA another account shares, for now."""
    return World()


def test_renewals_fail_and_are_told_while_what_is_served_goes_on(cell: World) -> None:
    """Nothing is said of the CA that nobody knows, nothing is taken back; when it is shared again, it heals alone."""
    served = cell.served
    cell.acm.permitted = False
    due(cell)

    cell.look(around=GONE)
    for _ in range(30):
        cell.tick(GONE)
    found = kinds(cell.look(around=GONE))
    cell.pass_time(DAY)

    assert {Kind.RENEWAL_FAILING, Kind.AWS_DENIED} <= found
    assert not found & OF_ITS_CA
    assert (cell.served, cell.last_good, cell.quarantined) == (served, *served, "")
    cell.acm.permitted = True
    cell.settle(within=4 * DAY)
    assert cell.served == {cell.issued} != served
    assert kinds(cell.look()) == set()


def test_nobody_looks_every_minute_for_a_share_that_has_ended(cell: World) -> None:
    """The looks have a quota, and those of others would wait; that it is shared again is seen within the hour."""
    cell.look(around=GONE)

    look_at = cell.table.rows[NAME].look_at

    assert look_at
    assert HOUR / 2 < look_at - cell.clock.now() <= HOUR
    assert kinds(cell.look(around=GONE)) == {Kind.AWS_DENIED}
    assert kinds(cell.look()) == set()


def test_a_renewal_that_is_due_before_is_not_kept_waiting() -> None:
    """Its moment comes first, however long the CA is left alone."""
    cell = World(policy=OWN_POLICY, issuer=RenewingAnew)
    planned = cell.look(around=GONE).plan
    assert planned
    assert planned.due_at
    cell.pass_time(planned.due_at - cell.clock.now() - 10 * MINUTE)

    cell.look(around=GONE)

    assert cell.table.rows[NAME].look_at == planned.due_at


def test_a_bad_version_goes_back_without_the_account_of_the_cas(cell: World) -> None:
    """A rollback moves labels and deploys services, all of them the cell's own."""
    (good,) = cell.served
    cell.pass_time(30 * DAY)
    cell.look("renew", message="m1")
    cell.settle()
    (bad,) = cell.served
    cell.acm.permitted = False

    cell.look("rollback", message="m2", reason="peers refuse it", around=GONE)
    for _ in range(30):
        cell.tick(GONE)

    assert bad != good
    assert (cell.served, cell.quarantined) == ({good}, bad)


def test_another_cell_is_renewed_meanwhile(cell: World) -> None:
    """It has its own tables, functions and certificates, and asks the first one nothing."""
    other = World()
    before = other.served
    cell.acm.permitted = False
    for each in (cell, other):
        due(each)

    cell.look(around=GONE)
    other.look()
    other.settle()

    assert other.served == {other.issued} != before
    assert kinds(other.look()) == set()


@pytest.mark.parametrize("why", UNANSWERED)
def test_a_bad_version_goes_back_and_an_identity_goes_while_its_issuer_is_that_ca(why: str) -> None:
    """Nothing is known then of what is issued, and neither needs it."""
    cell = World(policy=OWN_POLICY, issuer=OwnIssuer)
    silent = failing({"observe", "not_after", "renew"}, UNANSWERED[why]("acm-pca:GetCertificate", ROOT))
    (good,) = cell.served
    cell.pass_time(2 * HOUR)
    cell.look("renew", message="m1")
    cell.settle()
    (bad,) = cell.served

    cell.look("rollback", message="m2", reason="peers refuse it", around=silent)
    for _ in range(30):
        cell.tick(silent)

    assert bad != good
    assert (cell.served, cell.quarantined) == ({good}, bad)
    cell.declared.rows.clear()
    cell.look(around=silent)
    assert cell.table.rows == {}
