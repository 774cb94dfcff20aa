"""Export: one identity or trust bundle is brought in line, from any state, however often and however interrupted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.pki import Hierarchy
from evidence.simulation.vault import SEED_VERSION
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import (
    CertificatePending,
    IdentityMissing,
    MaterialRejected,
    SecretNotPublished,
    VersionQuarantined,
)
from meshcert.material.document import read_material, read_trust_bundle
from meshcert.publishing.export import (
    export_identity,
    new_passphrase,
)
from meshcert.publishing.publication import Outcome
from meshcert.publishing.trust_bundles import export_trust_bundle
from meshcert.san import Dns
from tests.meshcert.publishing.world import BUNDLE, CERTIFICATE, NAME, ROOT, SECRET, TELLER, TRUST_ORDER, never

if TYPE_CHECKING:
    from meshcert.identity import Identity
    from meshcert.material import Material, Passphrase
    from tests.meshcert.publishing.world import World


class TestIdentity:
    """An identity's material."""

    def test_the_first_call_publishes_what_acm_holds(self, world: World) -> None:
        """The secret's version is named after the certificate in it, and ACM can renew it from now on."""
        issued = world.certificates.look(CERTIFICATE)

        published = export_identity(TELLER, world.sources)

        assert published.outcome is Outcome.PUBLISHED
        assert world.served().certificate == issued.certificate
        assert world.vault.labels(SECRET)[published.version_id] == {CURRENT}
        assert published.version_id == world.served().version_id
        assert world.certificates.is_renewable(CERTIFICATE)

    def test_the_second_call_changes_nothing(self, world: World) -> None:
        """Neither a label nor a byte."""
        first = export_identity(TELLER, world.sources)
        labels, value = world.vault.labels(SECRET), world.vault.current_value(SECRET).value

        second = export_identity(TELLER, world.sources)

        assert second == replace(first, outcome=Outcome.ALREADY_CURRENT)
        assert world.vault.labels(SECRET) == labels
        assert world.vault.current_value(SECRET).value == value

    def test_a_renewed_certificate_is_published(self, world: World) -> None:
        """A new leaf under the same ARN becomes current, the one before stays a step away."""
        before = export_identity(TELLER, world.sources)
        renewed = world.issue()

        published = export_identity(TELLER, world.sources)

        assert published.outcome is Outcome.PUBLISHED
        assert world.served().certificate == renewed.certificate
        assert world.vault.labels(SECRET)[before.version_id] == {"AWSPREVIOUS"}
        assert world.certificates.is_renewable(CERTIFICATE)

    def test_a_published_certificate_that_acm_calls_ineligible_is_exported_again(self, world: World) -> None:
        """Otherwise ACM would never renew it; the secret is left as it is."""
        export_identity(TELLER, world.sources)
        value = world.vault.current_value(SECRET).value
        world.certificates.forget_export(CERTIFICATE)

        published = export_identity(TELLER, world.sources)

        assert published.outcome is Outcome.ALREADY_CURRENT
        assert world.certificates.is_renewable(CERTIFICATE)
        assert world.vault.current_value(SECRET).value == value

    def test_a_renewal_between_look_and_export_is_published_under_its_own_name(self, world: World) -> None:
        """The version is named after the leaf that came out, not the one that was seen."""
        renewed = world.hierarchy.issue([NAME])

        class RenewsOnExport(type(world.certificates)):  # type: ignore[misc]  # a fake of the fake's own class
            """ACM renews at the worst moment."""

            def export(self, certificate_arn: str, passphrase: Passphrase) -> Material:
                """Renew, then export."""
                self.issue(certificate_arn, renewed)
                exported: Material = super().export(certificate_arn, passphrase)
                return exported

        world.certificates.__class__ = RenewsOnExport

        published = export_identity(TELLER, world.sources)

        assert published.version_id == renewed.version_id
        assert world.served().certificate == renewed.certificate

    def test_bad_material_never_reaches_the_secret(self, world: World) -> None:
        """The pre-flight comes before the first write: readers keep what they had."""
        world.certificates.issue(CERTIFICATE, world.hierarchy.issue([NAME], extended_key_usages=("serverAuth",)))

        with pytest.raises(MaterialRejected, match=r"colorteller: 1 fault[\s\S]*clientAuth"):
            export_identity(TELLER, world.sources)
        assert list(world.vault.labels(SECRET)) == [SEED_VERSION]
        with pytest.raises(SecretNotPublished):
            read_material(world.vault.current_value(SECRET).value, SECRET)

    def test_a_key_that_envoy_cannot_open_never_reaches_the_secret(self, world: World) -> None:
        """Should ACM ever change how it encrypts keys, proxies keep the version they can read."""
        export_identity(TELLER, world.sources)
        before = world.vault.current_value(SECRET).value
        world.issue()
        world.certificates.key_encryption = "pbes2-sha512"

        with pytest.raises(MaterialRejected, match="HMAC-SHA512, which Envoy cannot open"):
            export_identity(TELLER, world.sources)
        assert world.vault.current_value(SECRET).value == before

    def test_a_certificate_of_another_ca_is_refused(self, world: World) -> None:
        """The trust anchor is asked of the CA itself."""
        world.authorities.hierarchies[ROOT] = Hierarchy(tiers=2)

        with pytest.raises(MaterialRejected, match="trust anchor"):
            export_identity(TELLER, world.sources)

    def test_a_peer_that_accepts_other_names_is_told_even_when_nothing_is_to_be_published(self, world: World) -> None:
        """A deploy that changes only a peer's rule is checked as well."""
        export_identity(TELLER, world.sources)

        with pytest.raises(MaterialRejected, match=r"a peer accepts only other\.svc\.local"):
            export_identity(replace(TELLER, peer_rules=((Dns("other.svc.local"),),)), world.sources)

    def test_a_quarantined_certificate_is_not_published_again(self, world: World) -> None:
        """After a failed rollout only a renewal leads out."""
        _, bad = world.roll_back()

        with pytest.raises(VersionQuarantined, match=bad):
            export_identity(TELLER, world.sources)

        world.issue()
        assert export_identity(TELLER, world.sources).outcome is Outcome.PUBLISHED

    def test_a_quarantined_certificate_that_was_never_exported_can_be_renewed_afterwards(self, world: World) -> None:
        """Only a renewal leads out, and ACM renews only what has been exported."""
        _, bad = world.roll_back()
        world.certificates.forget_export(CERTIFICATE)

        with pytest.raises(VersionQuarantined, match=bad):
            export_identity(TELLER, world.sources)

        assert world.certificates.is_renewable(CERTIFICATE)

    def test_a_quarantined_certificates_key_stays_in_acm(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """It can be renewed already, so nothing is gained by another export."""
        world.roll_back()
        monkeypatch.setattr(world.certificates, "export", never)

        with pytest.raises(VersionQuarantined):
            export_identity(TELLER, world.sources)

    def test_a_certificate_that_is_not_issued_yet_is_said_to_be_pending(self, world: World) -> None:
        """Whoever calls decides whether to wait."""
        world.certificates.issue(CERTIFICATE, world.hierarchy.issue([NAME]), pending_looks=1)

        with pytest.raises(CertificatePending, match="teller is PENDING_VALIDATION"):
            export_identity(TELLER, world.sources)

    @pytest.mark.parametrize(
        "identity",
        [
            replace(TELLER, certificate_arn="arn:no-such-certificate"),
            replace(TELLER, secret_id="arn:no-such-secret"),
            replace(TELLER, root_certificate_authority_arn="arn:no-such-ca"),
        ],
        ids=["certificate", "secret", "root CA"],
    )
    def test_what_is_missing_is_named(self, world: World, identity: Identity) -> None:
        """The message names the thing and the next step."""
        with pytest.raises(IdentityMissing, match=r"arn:no-such-.* does not exist\. Deploy"):
            export_identity(identity, world.sources)


class TestTrustBundle:
    """What peers are checked against."""

    def test_the_roots_own_certificate_is_published(self, world: World) -> None:
        """Peers trust the root as the CA gives it, not as some chain shows it."""
        published = export_trust_bundle(TRUST_ORDER, world.sources)

        bundle = read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE)
        assert published.outcome is Outcome.PUBLISHED
        assert bundle == world.hierarchy.trust_bundle
        assert published.version_id == bundle.version_id

    def test_the_second_call_changes_nothing(self, world: World) -> None:
        """The same certificates make the same version."""
        export_trust_bundle(TRUST_ORDER, world.sources)

        assert export_trust_bundle(TRUST_ORDER, world.sources).outcome is Outcome.ALREADY_CURRENT

    def test_a_reissued_root_takes_the_place_of_the_one_before(self, world: World) -> None:
        """Leaves of before still verify against it, so one root is enough."""
        export_trust_bundle(TRUST_ORDER, world.sources)
        world.hierarchy.reissue_root()

        published = export_trust_bundle(TRUST_ORDER, world.sources)

        assert published.outcome is Outcome.PUBLISHED
        assert read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE) == world.hierarchy.trust_bundle

    def test_two_roots_stand_side_by_side(self, world: World) -> None:
        """While one root replaces another, peers trust both."""
        world.authorities.hierarchies["arn:new-root"] = new = Hierarchy()

        export_trust_bundle(replace(TRUST_ORDER, root_certificate_authority_arns=(ROOT, "arn:new-root")), world.sources)

        published = read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE)
        assert world.hierarchy.root_pem in published.certificates
        assert new.root_pem in published.certificates


def test_every_passphrase_is_new_and_of_acms_alphabet() -> None:
    """4 to 128 ASCII characters without #, $ and %, as acm:ExportCertificate demands."""
    passphrases = [new_passphrase().reveal() for _ in range(200)]

    assert len(set(passphrases)) == len(passphrases)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{64}", passphrase) for passphrase in passphrases)
