"""Export for a caller that has looked at ACM itself: no second look, and nothing newer is ever covered."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.simulation.vault import SEED_VERSION
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import MaterialRejected, PublicationRaced
from meshcert.publishing.export import export_identity, export_issued
from meshcert.publishing.publication import Outcome
from tests.meshcert.publishing.world import CERTIFICATE, NAME, SECRET, TELLER, never

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World


class TestIssued:
    """An identity's material, for a caller that has looked at ACM itself."""

    @pytest.fixture(autouse=True)
    def quota(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A rotation must not look at ACM twice: it answers ten looks a second for a whole account."""
        monkeypatch.setattr(world.certificates, "look", never)

    def test_a_renewed_certificate_is_published_without_a_look(self, world: World) -> None:
        """And ACM can renew it from now on."""
        renewed = world.issue()

        published = export_issued(TELLER, renewed.version_id, world.sources, world.vault)

        assert (published.outcome, published.version_id) == (Outcome.PUBLISHED, renewed.version_id)
        assert world.served().certificate == renewed.certificate
        assert world.certificates.is_renewable(CERTIFICATE)

    def test_a_current_certificate_is_only_made_renewable_again(self, world: World) -> None:
        """Neither a label nor a byte changes for readers."""
        version = world.issue().version_id
        export_issued(TELLER, version, world.sources, world.vault)
        labels, value = world.vault.labels(SECRET), world.vault.current_value(SECRET)
        world.certificates.forget_export(CERTIFICATE)

        published = export_issued(TELLER, version, world.sources, world.vault)

        assert published.outcome is Outcome.ALREADY_CURRENT
        assert world.certificates.is_renewable(CERTIFICATE)
        assert (world.vault.labels(SECRET), world.vault.current_value(SECRET)) == (labels, value)

    def test_a_quarantined_certificate_is_exported_and_withheld(self, world: World) -> None:
        """ACM can renew it then, which is the only way out; readers keep the good version."""
        good, bad = world.roll_back()
        world.certificates.forget_export(CERTIFICATE)
        labels = world.vault.labels(SECRET)

        published = export_issued(TELLER, bad, world.sources, world.vault)

        assert (published.outcome, published.version_id) == (Outcome.WITHHELD, bad)
        assert published.facts is not None
        assert world.certificates.is_renewable(CERTIFICATE)
        assert world.vault.labels(SECRET) == labels
        assert world.current() == good

    def test_a_certificate_that_acm_renewed_meanwhile_is_told_by_its_own_version(self, world: World) -> None:
        """What counts is what came out."""
        seen, renewed = world.issue(), world.issue()

        published = export_issued(TELLER, seen.version_id, world.sources, world.vault)

        assert published.version_id == renewed.version_id == world.current()

    def test_bad_material_never_reaches_the_secret(self, world: World) -> None:
        """The pre-flight is the same."""
        bad = world.hierarchy.issue([NAME], extended_key_usages=("serverAuth",))
        world.certificates.issue(CERTIFICATE, bad)

        with pytest.raises(MaterialRejected, match="clientAuth"):
            export_issued(TELLER, bad.version_id, world.sources, world.vault)
        assert list(world.vault.labels(SECRET)) == [SEED_VERSION]

    def test_a_certificate_of_before_never_covers_that_of_a_deploy(self, world: World) -> None:
        """A deploy has published a new certificate and not yet written its row, which still leads to the old one."""
        old = world.issue()
        replaced = replace(TELLER, certificate_arn="arn:replaced")
        newer = world.hierarchy.issue([NAME], not_before=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=59))
        world.certificates.issue("arn:replaced", newer)
        export_issued(replaced, newer.version_id, world.sources, world.vault)

        with pytest.raises(PublicationRaced, match=CURRENT):
            export_issued(TELLER, old.version_id, world.sources, world.vault)
        assert world.current() == newer.version_id

    @pytest.mark.parametrize("call", ["export", "root", "current_value", "put_pending", "move_label"])
    def test_a_slower_run_never_covers_a_newer_version(
        self, world: World, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whichever of its calls the other run comes in between."""
        export_issued(TELLER, world.issue().version_id, world.sources, world.vault)
        slow = world.issue()
        newer = world.hierarchy.issue([NAME])
        port: Any = {"export": world.certificates, "root": world.authorities}.get(call, world.vault)
        method = getattr(port, call)

        def overtaken(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.undo()
            result = method(*args, **kwargs) if call == "export" else None
            world.certificates.issue(CERTIFICATE, newer)
            assert export_identity(TELLER, world.sources).outcome is Outcome.PUBLISHED
            return result or method(*args, **kwargs)

        monkeypatch.setattr(port, call, overtaken)

        with contextlib.suppress(PublicationRaced):
            export_issued(TELLER, slow.version_id, world.sources, world.vault)
        assert world.current() == newer.version_id

    @pytest.mark.parametrize("value", ["", "{}", "[]", '{"Schema": 2}'])
    def test_a_secret_that_nobody_can_read_is_mended(self, world: World, value: str) -> None:
        """There is no certificate in it that could be the newer one."""
        world.vault.secrets[SECRET].values[SEED_VERSION] = value
        version = world.issue().version_id

        assert export_issued(TELLER, version, world.sources, world.vault).outcome is Outcome.PUBLISHED
        assert world.served().version_id == version
