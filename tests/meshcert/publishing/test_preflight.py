"""The pre-flight, by table: what may be served, and what each fault is called."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.errors import MaterialRejected
from meshcert.material import Passphrase, TrustBundle, join_certificates, split_certificates
from meshcert.material.certificate_facts import certificate_facts
from meshcert.publishing.preflight import (
    Expectation,
    verify_certificate,
    verify_material,
    verify_trust_bundle,
)
from meshcert.san import Dns

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.material import Material

NAME = "colorteller.mtls.svc.cluster.local"
DAY = dt.timedelta(days=1)


def now() -> dt.datetime:
    """The time, as a caller of the pre-flight passes it."""
    return dt.datetime.now(dt.UTC)


def expectation(hierarchy: Hierarchy, **changes: Any) -> Expectation:
    """What the teller's certificate must be."""
    expected = Expectation(
        identity="colorteller",
        names=(Dns(NAME),),
        peer_rules=((Dns(NAME),),),
        trust_anchors=hierarchy.root_pem,
        at=now(),
    )
    return replace(expected, **changes)


def faults_of(material: Material, expected: Expectation) -> list[str]:
    """Every fault the pre-flight finds, as a person reads it."""
    with pytest.raises(MaterialRejected) as caught:
        verify_material(material, expected)
    return [str(fault) for fault in caught.value.faults]


class TestSound:
    """Material that may be served."""

    @pytest.mark.parametrize("tiers", [1, 2])
    @pytest.mark.parametrize("algorithm", ["EC_prime256v1", "EC_secp384r1", "RSA_2048"])
    @pytest.mark.parametrize("encryption", ["pbes2-sha1", "pbes2-sha256"])
    def test_sound_material_passes(self, tiers: Any, algorithm: Any, encryption: Any) -> None:
        """Every kind of hierarchy and key that ACM offers passes unchanged."""
        hierarchy = Hierarchy(tiers, algorithm)
        material = hierarchy.issue([NAME], key_algorithm=algorithm, encryption=encryption)

        assert verify_material(material, expectation(hierarchy)) == material

    def test_the_chain_is_put_in_order(self, hierarchy: Hierarchy, material: Material) -> None:
        """Root first, or root missing: what is published is issuing CA first, root last, always."""
        for chain in ([hierarchy.root_pem, hierarchy.issuing_pem], [hierarchy.issuing_pem]):
            disordered = material._replace(certificate_chain=join_certificates(chain))

            ordered = verify_material(disordered, expectation(hierarchy)).certificate_chain

            assert split_certificates(ordered) == split_certificates(hierarchy.certificate_chain)

    def test_a_leaf_of_before_the_roots_reissue_passes(self, hierarchy: Hierarchy, material: Material) -> None:
        """The reissued root has the same key; the chain that is published ends with the reissued one."""
        old = hierarchy.root_pem
        hierarchy.reissue_root()

        verified = verify_material(material, expectation(hierarchy))

        assert hierarchy.root_pem.strip() in verified.certificate_chain
        assert old.strip() not in verified.certificate_chain

    def test_a_peer_rule_is_met_by_any_of_its_names(self, hierarchy: Hierarchy, material: Material) -> None:
        """A peer that accepts the old name and the new one accepts either."""
        verify_material(material, expectation(hierarchy, peer_rules=((Dns("old.svc.local"), Dns(NAME)),)))

    def test_a_wildcard_meets_a_peer_rule(self, hierarchy: Hierarchy) -> None:
        """As in Envoy, a wildcard stands for one leftmost label."""
        name = "*.mtls.svc.cluster.local"

        verify_material(hierarchy.issue([name]), expectation(hierarchy, names=(Dns(name),)))

    def test_names_are_compared_as_dns_does(self, hierarchy: Hierarchy) -> None:
        """Order and case do not matter."""
        material = hierarchy.issue(["b.svc.local", "A.svc.local"])

        verify_material(material, expectation(hierarchy, names=(Dns("a.svc.local"), Dns("B.svc.local")), peer_rules=()))

    def test_facts_are_worded_as_envoy_words_them(self, material: Material) -> None:
        """Serial numbers are lower-case hex of whole bytes; times are UTC."""
        facts = certificate_facts(material.certificate)

        assert len(facts.serial_number) % 2 == 0
        assert facts.as_document() == {
            "SerialNumber": facts.serial_number,
            "NotBefore": facts.not_before.isoformat(),
            "NotAfter": facts.not_after.isoformat(),
            "Names": [NAME],
        }
        assert facts.not_after.utcoffset() == dt.timedelta(0)


@dataclass(frozen=True)
class Bad:
    """One kind of bad material, and the words that its fault must have."""

    make: Callable[[Hierarchy], Material]
    words: tuple[str, ...]


def with_key_of_another(hierarchy: Hierarchy) -> Material:
    """Certificate and key of two different exports."""
    other = hierarchy.issue([NAME])
    return hierarchy.issue([NAME])._replace(private_key=other.private_key, passphrase=other.passphrase)


BAD = {
    "certificate not PEM": Bad(
        lambda h: h.issue([NAME])._replace(certificate="tempcert"), ("certificate:", "not one PEM certificate")
    ),
    "two certificates as leaf": Bad(
        lambda h: h.issue([NAME])._replace(certificate=h.issue([NAME]).certificate + h.root_pem),
        ("not one PEM certificate",),
    ),
    "chain not PEM": Bad(
        lambda h: h.issue([NAME])._replace(certificate_chain="tempcert"), ("certificate chain:", "not PEM")
    ),
    "key not PEM": Bad(
        lambda h: h.issue([NAME])._replace(private_key=type(h.issue([NAME]).private_key)("tempcert")),
        ("private key:", "no readable PKCS#8"),
    ),
    "wrong passphrase": Bad(
        lambda h: h.issue([NAME])._replace(passphrase=Passphrase("not-the-one")),
        ("private key:", "the passphrase does not open it"),
    ),
    "key of another certificate": Bad(with_key_of_another, ("private key:", "belongs to another certificate")),
    "expired": Bad(
        lambda h: h.issue([NAME], not_before=now() - 9 * DAY, not_after=now() - DAY), ("certificate:", "expired at 20")
    ),
    "not yet valid": Bad(lambda h: h.issue([NAME], not_before=now() + DAY), ("certificate:", "not valid before 20")),
    "wrong names": Bad(
        lambda h: h.issue(["intruder.svc.local"]), ("certificate names:", "intruder.svc.local", "declared are", NAME)
    ),
    "chain incomplete": Bad(
        lambda h: h.issue([NAME])._replace(certificate_chain=h.root_pem),
        ("certificate chain:", "does not lead to the trust anchor", "An issuing CA is missing"),
    ),
    "clientAuth missing": Bad(
        lambda h: h.issue([NAME], extended_key_usages=("serverAuth",)), ("extended key usage lacks clientAuth",)
    ),
    "serverAuth missing": Bad(
        lambda h: h.issue([NAME], extended_key_usages=("clientAuth",)), ("extended key usage lacks serverAuth",)
    ),
    "no extended key usage": Bad(
        lambda h: h.issue([NAME], extended_key_usages=()), ("lacks serverAuth and clientAuth",)
    ),
    "PBKDF2 with SHA-512": Bad(
        lambda h: h.issue([NAME], encryption="pbes2-sha512"), ("PBKDF2 HMAC-SHA512", "Envoy cannot open")
    ),
    "scrypt": Bad(lambda h: h.issue([NAME], encryption="scrypt"), ("scrypt", "Envoy cannot open")),
    "wrong trust anchor": Bad(
        lambda h: Hierarchy(tiers=2, name=f"not {h.name}").issue([NAME]), ("does not lead to the trust anchor",)
    ),
    "a CA of the same name": Bad(
        lambda h: Hierarchy(tiers=2, name=h.name).issue([NAME]), ("does not lead to the trust anchor",)
    ),
}


class TestBad:
    """Material that must not be served."""

    @pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
    def test_bad_material_is_refused_by_name(self, bad: Bad, hierarchy: Hierarchy) -> None:
        """Each fault names the thing and says what to do; neither passphrase nor key is in what is told."""
        material = bad.make(hierarchy)

        faults = faults_of(material, expectation(hierarchy))

        text = "\n".join(faults)
        assert any(all(word in fault for word in bad.words) for fault in faults), faults
        assert material.passphrase.reveal() not in text
        assert material.private_key.reveal()[60:90] not in text or "tempcert" in material.private_key.reveal()

    @pytest.mark.parametrize(
        "case", ["expired", "not yet valid", "wrong passphrase", "clientAuth missing", "PBKDF2 with SHA-512"]
    )
    def test_one_fault_is_told_once(self, case: str, hierarchy: Hierarchy) -> None:
        """A single fault does not drag in others that only follow from it."""
        assert len(faults_of(BAD[case].make(hierarchy), expectation(hierarchy))) == 1

    def test_all_faults_are_told_at_once(self, hierarchy: Hierarchy) -> None:
        """A person repairs everything in one go."""
        material = Hierarchy(tiers=2).issue(
            ["intruder.svc.local"],
            not_before=now() - 9 * DAY,
            not_after=now() - DAY,
            extended_key_usages=("serverAuth",),
            encryption="scrypt",
        )

        faults = "\n".join(faults_of(material._replace(passphrase=Passphrase("wrong")), expectation(hierarchy)))

        for word in (
            "expired",
            "declared are",
            "a peer accepts only",
            "clientAuth",
            "trust anchor",
            "scrypt",
        ):
            assert word in faults

    def test_a_name_that_a_peer_does_not_accept_is_refused(self, hierarchy: Hierarchy, material: Material) -> None:
        """The deploy stops before tasks refuse each other."""
        (fault,) = faults_of(
            material, expectation(hierarchy, peer_rules=((Dns(NAME),), (Dns("new.svc.local"), Dns("newer.svc"))))
        )

        assert "a peer accepts only new.svc.local, newer.svc" in fault

    def test_an_expired_root_is_refused(self) -> None:
        """A leaf cannot outlive its trust anchor."""
        hierarchy = Hierarchy(not_before=now() - 9 * DAY, not_after=now() - DAY)

        assert "trust anchor" in faults_of(hierarchy.issue([NAME]), expectation(hierarchy))[0]

    def test_a_ca_certificate_is_no_leaf(self, hierarchy: Hierarchy, material: Material) -> None:
        """An issuing CA's certificate in the leaf's place is called that."""
        swapped = material._replace(certificate=hierarchy.issuing_pem)

        assert any("is a CA's" in fault for fault in faults_of(swapped, expectation(hierarchy)))

    def test_the_public_half_is_checked_without_a_key(self, hierarchy: Hierarchy) -> None:
        """What acm:GetCertificate shows is enough to refuse a certificate."""
        material = hierarchy.issue([NAME], extended_key_usages=("serverAuth",))

        with pytest.raises(MaterialRejected, match="clientAuth"):
            verify_certificate(material.certificate, material.certificate_chain, expectation(hierarchy))


class TestTrustBundle:
    """What peers are checked against."""

    def test_a_root_passes(self, hierarchy: Hierarchy) -> None:
        """Also next to the root that replaces it."""
        both = TrustBundle(join_certificates([hierarchy.root_pem, Hierarchy().root_pem]))

        verify_trust_bundle(both, "colorteller", now())

    @pytest.mark.parametrize(
        ("bundle", "words"),
        [
            (lambda: "tempcert", "not PEM"),
            (lambda: Hierarchy(tiers=2).issuing_pem, "no root CA certificate"),
            (lambda: Hierarchy().issue([NAME]).certificate, "no root CA certificate"),
            (lambda: Hierarchy(not_before=now() - 9 * DAY, not_after=now() - DAY).root_pem, "is valid from"),
        ],
        ids=["not PEM", "issuing CA", "leaf", "expired"],
    )
    def test_anything_else_is_refused(self, bundle: Callable[[], str], words: str) -> None:
        """A trust bundle that trusts too much or nothing is never published."""
        with pytest.raises(MaterialRejected, match=words):
            verify_trust_bundle(TrustBundle(bundle()), "colorteller", now())
