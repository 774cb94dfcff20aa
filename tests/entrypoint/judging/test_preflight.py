"""The pre-flight: which material may be handed to Envoy, and which never is."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest

from entrypoint.judging import der
from entrypoint.judging.preflight import certificate_fields, check_material, check_trust_bundle
from evidence.fixtures.pki import Hierarchy, KeyAlgorithm
from meshcert.errors import MaterialRejected
from meshcert.material import EncryptedPrivateKey, Passphrase, TrustBundle, join_certificates
from meshcert.material.certificate_facts import certificate_facts
from meshcert.san import san_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.material import Material

NAME = "colorteller.mtls.svc.cluster.local"
DAY = dt.timedelta(days=1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _faults(material: Material, *names: str, now: float | None = None) -> list[str]:
    try:
        check_material(material, [san_of(name) for name in names or (NAME,)], "the secret", now or time.time())
    except MaterialRejected as refusal:
        return [str(fault) for fault in refusal.faults]
    return []


@pytest.mark.parametrize("tiers", [1, 2])
@pytest.mark.parametrize("algorithm", ["EC_prime256v1", "EC_secp384r1", "RSA_2048"])
def test_what_acm_exports_passes(tiers: int, algorithm: KeyAlgorithm) -> None:
    """With and without an issuing CA, for every key algorithm ACM offers."""
    hierarchy = Hierarchy(1 if tiers == 1 else 2)

    assert _faults(hierarchy.issue([NAME, "other.local"], key_algorithm=algorithm)) == []


def test_a_certificate_without_extended_key_usages_is_refused(hierarchy: Hierarchy) -> None:
    """RFC 5280 section 4.2.1.12 takes it for good for everything; the function that publishes does not, either."""
    assert len(_faults(hierarchy.issue([NAME], extended_key_usages=[]))) == 2


def _with_key_of(hierarchy: Hierarchy, algorithm: KeyAlgorithm) -> Material:
    other = hierarchy.issue([NAME], key_algorithm=algorithm)
    return hierarchy.issue([NAME])._replace(private_key=other.private_key, passphrase=other.passphrase)


def _without_key(hierarchy: Hierarchy) -> Material:
    hollow = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"
    return hierarchy.issue([NAME])._replace(private_key=EncryptedPrivateKey(hollow))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda h: h.issue([NAME], not_before=_now() - 9 * DAY, not_after=_now() - DAY), "Certificate: it expired on"),
        (lambda h: h.issue([NAME], not_before=_now() + DAY), "Certificate: it is not valid before"),
        (lambda h: h.issue(["a.local"]), f"lacks the name(s) {NAME}. It carries a.local"),
        (lambda h: h.issue([NAME], extended_key_usages=["serverAuth"]), "it is not for clientAuth"),
        (lambda h: h.issue([NAME], extended_key_usages=["clientAuth"]), "it is not for serverAuth"),
        (lambda h: h.issue([NAME])._replace(passphrase=Passphrase("not-the-one")), "Passphrase: it does not open"),
        (lambda h: _with_key_of(h, "EC_prime256v1"), "PrivateKey: it belongs to another certificate"),
        (lambda h: _with_key_of(h, "RSA_2048"), "PrivateKey: it belongs to another certificate"),
        (_without_key, "PrivateKey: it is no encrypted PKCS#8"),
        (lambda h: h.issue([NAME], encryption="pbes2-sha512"), "PBKDF2 HMAC-SHA512"),
        (lambda h: h.issue([NAME], encryption="scrypt"), "scrypt"),
        (
            lambda h: h.issue([NAME])._replace(certificate_chain=h.root_pem),
            "CertificateChain: it does not lead to its own root",
        ),
        (
            lambda h: h.issue([NAME])._replace(certificate_chain=h.issuing_pem),
            "CertificateChain: it does not lead to its own root",
        ),
        (
            lambda h: h.issue([NAME])._replace(certificate_chain=join_certificates([h.root_pem, h.issuing_pem])),
            "CertificateChain: it does not lead to its own root",
        ),
        (
            lambda h: h.issue([NAME])._replace(certificate_chain=Hierarchy(2).certificate_chain),
            "CertificateChain: it does not lead to its own root",
        ),
        (
            lambda h: h.issue([NAME])._replace(
                certificate="-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
            ),
            "Certificate: it is no X.509 certificate",
        ),
    ],
    ids=[
        "expired", "not yet valid", "wrong names", "clientAuth missing", "serverAuth missing", "wrong passphrase",
        "key of another certificate", "key of another algorithm", "no key", "PBKDF2 with SHA-512", "scrypt",
        "issuing CA missing", "root missing", "chain in wrong order", "chain of another hierarchy", "no certificate",
    ],
)  # fmt: skip
def test_bad_material_is_refused_with_a_message_a_person_can_act_on(
    hierarchy: Hierarchy, make: Callable[[Hierarchy], Material], told: str
) -> None:
    """One fault, one sentence about it, and nothing of the key or the passphrase."""
    material = make(hierarchy)

    faults = _faults(material)

    assert len(faults) == 1
    assert told in faults[0]
    assert material.passphrase.reveal() not in faults[0]


def test_every_fault_of_one_secret_is_told_at_once(hierarchy: Hierarchy) -> None:
    """A certificate that is expired and for servers only, with a key that Envoy cannot open and nobody tries to."""
    material = hierarchy.issue(
        ["a.local"],
        not_before=_now() - 9 * DAY,
        not_after=_now() - DAY,
        extended_key_usages=["serverAuth"],
        encryption="scrypt",
    )

    assert [fault.partition(":")[0] for fault in _faults(material)] == [
        "PrivateKey", "Certificate", "Certificate",
    ]  # fmt: skip


def test_an_expired_issuing_ca_is_told_apart_from_an_expired_leaf() -> None:
    """The place names the certificate of the chain."""
    old = Hierarchy(2, not_before=_now() - 9 * DAY, not_after=_now() - DAY)

    places = [fault.partition(": ")[0] for fault in _faults(old.issue([NAME]))]

    assert places == ["CertificateChain[0]", "CertificateChain[1]"]


def test_the_clock_is_the_callers(material: Material) -> None:
    """The same material is refused once the caller's time is past its end."""
    year_after_next = time.time() + 800 * 86400

    assert "it expired on" in _faults(material, now=year_after_next)[0]


def test_a_certificate_may_carry_more_names_than_this_proxy_needs(hierarchy: Hierarchy) -> None:
    """A change of names adds before it removes."""
    assert _faults(hierarchy.issue([NAME, "new.local"]), NAME) == []


def test_validity_is_read_for_both_forms_of_time(hierarchy: Hierarchy) -> None:
    """UTCTime until 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5)."""
    start = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    for end in (dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC), dt.datetime(2051, 1, 1, tzinfo=dt.UTC)):
        leaf = hierarchy.issue([NAME], not_before=start, not_after=end).certificate
        found = der.read_certificate(_der(leaf))

        assert (found.not_before, found.not_after) == (start.timestamp(), end.timestamp())
        assert certificate_fields(f"\n{leaf}\n") == found
        assert found.serial == int(certificate_facts(leaf).serial_number, 16)


def test_cut_and_changed_der_is_an_error_of_its_type_only(material: Material) -> None:
    """Every prefix, and every single changed byte, of a certificate and a key."""
    whole = _der(material.certificate)
    for at in range(len(whole)):
        for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                der.read_certificate(broken)
            except ValueError as error:
                assert str(error) == "it is no certificate"  # noqa: PT017 -- most changes leave it readable
    key = material.private_key.reveal()
    for at in range(len(key)):
        for broken_key in (key[:at], key[:at] + "!" + key[at + 1 :]):
            try:
                der.key_encryption(broken_key)
            except ValueError as error:
                assert str(error) == "it is no encrypted PKCS#8"  # noqa: PT017 -- as above


def test_a_bundle_of_roots_passes(hierarchy: Hierarchy) -> None:
    """One root, or several while a CA is being replaced."""
    other = Hierarchy(1).root_pem
    for certificates in (hierarchy.root_pem, join_certificates([hierarchy.root_pem, other])):
        check_trust_bundle(TrustBundle(certificates), "the secret", time.time())


@pytest.mark.parametrize(
    ("certificates", "told"),
    [
        (lambda h: h.issuing_pem, "it is not self-signed"),
        (lambda h: h.issue([NAME]).certificate, "it is no CA certificate"),
        (lambda _: "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "it is no CA certificate"),
        (
            lambda _: Hierarchy(1, not_before=_now() - 9 * DAY, not_after=_now() - DAY).root_pem,
            "every root in it has expired",
        ),
    ],
    ids=["issuing CA", "leaf", "garbage", "expired"],
)
def test_a_bundle_that_would_refuse_every_peer_is_refused(
    hierarchy: Hierarchy, certificates: Callable[[Hierarchy], str], told: str
) -> None:
    """Better an old bundle than one with which nothing works."""
    with pytest.raises(MaterialRejected, match=told):
        check_trust_bundle(TrustBundle(certificates(hierarchy)), "the secret", time.time())


def _der(pem: str) -> bytes:
    import ssl  # noqa: PLC0415 -- only to take the armour off

    return ssl.PEM_cert_to_DER_cert(pem)
