"""An identity goes back: to another issuer's certificate, or to the one of before when its deploy is rolled back."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evidence.simulation.tables import InMemoryIdentities
from meshcert.contract.staging_labels import CURRENT, QUARANTINED
from meshcert.identity import IssuerName
from meshcert.material import certificate_version
from meshcert.publishing.publication import version_labelled
from tests.meshcert.publishing.world import CERTIFICATE, IDENTITY, NAME, ROOT, SECRET, TELLER

if TYPE_CHECKING:
    from meshcert.identity import Identity
    from tests.meshcert.publishing.world import World

FIRST, NEXT = f"{ROOT}/certificate/1", f"{ROOT}/certificate/2"


class RenewedMeanwhile(InMemoryIdentities):
    """The table of identities, in which a renewal is done just before the deploy writes for the first time."""

    def __init__(self, world: World, *, renewed: bool) -> None:
        super().__init__()
        self.rows["colorteller"] = replace(TELLER, certificate_arn=FIRST, issuer=IssuerName.PRIVATE_CA)
        self._world, self._is_renewed = world, not renewed

    def remember(self, identity: Identity, before: str | None = None) -> None:
        """UpdateItem."""
        if not self._is_renewed:
            self._is_renewed = True
            self.reissued("colorteller", NEXT, FIRST)
            self._world.vault.put_pending(SECRET, "next", "material of Private CA")
            self._world.vault.move_label(SECRET, CURRENT, to="next", away_from=self._world.current())
        super().remember(identity, before)


@pytest.mark.parametrize("renewed", [True, False])
def test_what_is_published_in_the_end_is_acms_certificate(world: World, *, renewed: bool) -> None:
    """The row had changed, so the deploy publishes once more; otherwise no look would ever take ACM's, the older."""
    world.identities = RenewedMeanwhile(world, renewed=renewed)

    answered = world.ask("Update", IDENTITY, OldResourceProperties=IDENTITY, PhysicalResourceId="colorteller")

    assert answered["Status"] == "SUCCESS"
    assert world.current() == certificate_version(world.certificates.look(CERTIFICATE).certificate)
    assert world.identities.rows["colorteller"].certificate_arn == CERTIFICATE


def test_a_deploy_that_is_rolled_back_labels_what_it_leaves(world: World) -> None:
    """Running tasks take no older certificate but instead of a QUARANTINED one: they would go on with the other."""
    hour_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    world.certificates.issue(CERTIFICATE, world.hierarchy.issue([NAME], not_before=hour_ago - dt.timedelta(days=1)))
    world.ask("Create", IDENTITY)
    before, names = world.current(), [NAME, "teller.svc.local"]
    world.issue("arn:certificate-2", names)
    changed = IDENTITY | {"CertificateArn": "arn:certificate-2", "Names": names}
    world.ask("Update", changed, OldResourceProperties=IDENTITY)
    left = world.current()

    answers = [world.ask("Update", IDENTITY, OldResourceProperties=changed)["Status"] for _ in range(2)]

    assert answers == ["SUCCESS"] * 2
    assert world.current() == before
    assert version_labelled(world.vault.labels(SECRET), QUARANTINED) == left


@pytest.mark.parametrize("catches_up", [True, False])
def test_acm_that_lags_behind_a_renewal_takes_no_good_version_back(world: World, *, catches_up: bool) -> None:
    """A deploy of something else meets it. Nothing but another renewal would end the quarantine of a good version."""
    day_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    older = world.hierarchy.issue([NAME], not_before=day_ago)
    world.certificates.issue(CERTIFICATE, older)
    world.ask("Create", IDENTITY)
    renewed = world.issue(CERTIFICATE, [NAME])
    world.ask("Update", IDENTITY, OldResourceProperties=IDENTITY)
    current = world.current()
    world.certificates.issue(CERTIFICATE, older)
    if catches_up:

        def sleep(seconds: float) -> None:
            del seconds
            world.certificates.issue(CERTIFICATE, renewed)

        world.clock.sleep = sleep  # type: ignore[method-assign]

    answered = world.ask("Update", IDENTITY, OldResourceProperties=IDENTITY)

    assert answered["Status"] == ("SUCCESS" if catches_up else "FAILED")
    assert world.current() == current
    assert not version_labelled(world.vault.labels(SECRET), QUARANTINED)


def test_a_deploy_that_goes_on_labels_nothing(world: World) -> None:
    """A newer certificate is taken by itself."""
    world.ask("Create", IDENTITY)
    names = [NAME, "teller.svc.local"]
    world.issue("arn:certificate-2", names)

    world.ask("Update", IDENTITY | {"CertificateArn": "arn:certificate-2", "Names": names})

    assert not version_labelled(world.vault.labels(SECRET), QUARANTINED)
