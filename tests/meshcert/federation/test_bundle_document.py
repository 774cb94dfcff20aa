"""SPIFFE bundles as others write them: what is believed, what is left out, and what is refused."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from evidence.fixtures.bundles import document, jwk
from evidence.fixtures.pki import Hierarchy, key_usage
from meshcert.errors import BundleInvalid
from meshcert.federation.bundle_document import MOST_BYTES, MOST_KEYS, read_bundle
from meshcert.material import split_certificates
from meshcert.material.foreign_bundle import LONGEST_HINT_S, MOST_CERTIFICATES, SHORTEST_HINT_S

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = dt.datetime.now(dt.UTC)
PARTNER = "partner.example"
ROOT, OTHER = Hierarchy(name="partner"), Hierarchy(name="other")
KEY = jwk(ROOT.root_pem)
JWT = {"kty": "EC", "use": "jwt-svid", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}


def of_keys(*keys: Any, **more: Any) -> bytes:
    """A bundle with these keys."""
    return json.dumps({"keys": keys, **more}).encode()


def authority(*, ca: bool = True, signs: bool = True, uri: str = "", ended: bool = False) -> str:
    """A self-signed certificate that is a root, or nearly one; PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "partner")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=9))
        .not_valid_after(NOW + dt.timedelta(days=-1 if ended else 9))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(key_usage(signs=signs), critical=True)
    )
    if uri:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("key", ["EC_prime256v1", "EC_secp384r1", "RSA_2048"])
def test_roots_of_every_kind_of_key_are_read(key: Any) -> None:
    """With number and hint."""
    root = Hierarchy(key=key).root_pem

    read = read_bundle(document(root, sequence=7, hint=900), PARTNER, NOW)

    assert read.bundle == (PARTNER, root, 7, 900)
    assert not read.remarks


def test_a_bundle_of_a_spire_server_is_read() -> None:
    """Beside its roots it has keys for JWT-SVIDs, which say nothing about X.509."""
    read = read_bundle(of_keys(KEY, JWT, spiffe_sequence=1), PARTNER, NOW)

    assert split_certificates(read.bundle.certificates) == split_certificates(ROOT.root_pem)
    assert not read.remarks


@pytest.mark.parametrize(
    "key",
    [{**KEY, "use": "x509-other"}, {**KEY, "kty": "OKP"}, {"kty": "EC"}, {"use": "x509-svid", "kty": ["EC"]}, {}],
    ids=["use", "kty", "no-use", "kty-list", "empty"],
)
def test_a_key_of_an_unknown_kind_is_left_out_and_the_others_are_used(key: Any) -> None:
    """The standard says so; people are told."""
    read = read_bundle(of_keys(key, KEY), PARTNER, NOW)

    assert read.bundle.certificates == ROOT.root_pem
    assert read.remarks == ("keys[0] is left out: its kty or use is not known",)


@pytest.mark.parametrize("keys", [[], [JWT]], ids=["none", "only-jwt"])
def test_without_roots_nobody_is_let_in(keys: list[Any]) -> None:
    """A trust domain that withdraws everything says it so."""
    assert read_bundle(of_keys(*keys, spiffe_sequence=9), PARTNER, NOW).bundle == (PARTNER, "", 9, SHORTEST_HINT_S)


@pytest.mark.parametrize(
    ("hint", "taken"),
    [(None, SHORTEST_HINT_S), (0, SHORTEST_HINT_S), (600, 600), (10**12, LONGEST_HINT_S)],
)
def test_the_refresh_hint_is_taken_within_bounds(hint: int | None, taken: int) -> None:
    """Without one, five minutes (SPIFFE_Federation section 4.1)."""
    assert read_bundle(document(ROOT.root_pem, hint=hint), PARTNER, NOW).bundle.refresh_hint_s == taken


def test_one_root_under_two_keys_is_one() -> None:
    """Envoy needs it once."""
    assert read_bundle(of_keys(KEY, KEY), PARTNER, NOW).bundle.certificates == ROOT.root_pem


def test_of_several_certificates_the_first_is_used() -> None:
    """``x5c`` has exactly one; what comes after it would be believed by nobody's check."""
    other = jwk(OTHER.root_pem)["x5c"]

    read = read_bundle(of_keys({**KEY, "x5c": KEY["x5c"] + other}), PARTNER, NOW)

    assert read.bundle.certificates == ROOT.root_pem
    assert "only the first is used" in read.remarks[0]


REMARKED: dict[str, tuple[Callable[[], bytes], str]] = {
    "kid": (lambda: of_keys({**KEY, "kid": "a"}), "must not have"),
    "ended": (lambda: of_keys(jwk(authority(ended=True))), "ended on"),
    "not-self-signed": (lambda: of_keys(jwk(Hierarchy(tiers=2).issuing_pem)), "not self-signed"),
}


@pytest.mark.parametrize(("written", "remark"), REMARKED.values(), ids=REMARKED)
def test_what_is_odd_is_said_and_believed(written: Callable[[], bytes], remark: str) -> None:
    """The partner's deployment goes on, and its people learn of it."""
    read = read_bundle(written(), PARTNER, NOW)

    assert read.bundle.certificates
    assert remark in read.remarks[0]


def test_a_root_may_carry_the_id_of_its_trust_domain() -> None:
    """SPIRE's do."""
    root = authority(uri=f"spiffe://{PARTNER}")

    assert read_bundle(document(root), PARTNER, NOW).bundle.certificates == root


def _point(**fields: Any) -> Callable[[], bytes]:
    return lambda: of_keys({**KEY, **fields})


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "html": (lambda: b"<html>", "not JSON"),
    "empty": (lambda: b"", "not JSON"),
    "latin-1": (lambda: b'{"keys": ["\xe4"]}', "not Unicode"),
    "list": (lambda: b"[]", "no object"),
    "nested": (lambda: b'{"keys": ' + b"[" * 100_000, "nested"),
    "long": (lambda: b" " * (MOST_BYTES + 1), "longer than"),
    "no-keys": (lambda: b"{}", "missing, or no list"),
    "keys-object": (lambda: b'{"keys": {}}', "missing, or no list"),
    "many-keys": (lambda: of_keys(*[JWT] * (MOST_KEYS + 1)), "100 are read"),
    "bundle-map": (lambda: json.dumps({"trust_domains": {PARTNER: {"keys": []}}}).encode(), "map of bundles"),
    "key-text": (lambda: of_keys("key"), "no object"),
    "private-key": (_point(d="AA"), "private key"),
    "no-x5c": (_point(x5c=None), "no list with a certificate"),
    "empty-x5c": (_point(x5c=[]), "no list with a certificate"),
    "x5c-of-numbers": (_point(x5c=[7]), "no list with a certificate"),
    "x5c-garbage": (_point(x5c=["AAAA"]), "no certificate that can be read"),
    "x5c-no-base64": (_point(x5c=["A?A"]), "no certificate that can be read"),
    "x5c-not-ascii": (_point(x5c=["ä"]), "no certificate that can be read"),
    "x5c-pem": (lambda: of_keys({**KEY, "x5c": [ROOT.root_pem]}), "no certificate that can be read"),
    "another-key": (lambda: of_keys({**KEY, "x5c": jwk(OTHER.root_pem)["x5c"]}), "not its certificate's"),
    "other-point": (_point(x="AAAA"), "not its certificate's"),
    "no-point": (_point(y=None), "not its certificate's"),
    "other-curve": (_point(crv="P-384"), "not its certificate's"),
    "other-kty": (_point(kty="RSA"), "not its certificate's"),
    "leaf": (lambda: of_keys(jwk(ROOT.issue(["web.partner.example"]).certificate)), "no CA's certificate"),
    "no-ca": (lambda: of_keys(jwk(authority(ca=False))), "no CA's certificate"),
    "no-signing": (lambda: of_keys(jwk(authority(signs=False))), "does not let it sign"),
    "other-domain": (lambda: of_keys(jwk(authority(uri="spiffe://yelb.example"))), "and not of spiffe://partner"),
    "workload": (lambda: of_keys(jwk(authority(uri=f"spiffe://{PARTNER}/web"))), "and not of spiffe://partner"),
    "sequence-text": (lambda: of_keys(KEY, spiffe_sequence="7"), "spiffe_sequence: it is no whole number"),
    "sequence-fraction": (lambda: of_keys(KEY, spiffe_sequence=1.5), "spiffe_sequence: it is no whole number"),
    "sequence-negative": (lambda: of_keys(KEY, spiffe_sequence=-1), "spiffe_sequence: it is no whole number"),
    "sequence-null": (lambda: of_keys(KEY, spiffe_sequence=None), "spiffe_sequence: it is no whole number"),
    "sequence-huge": (lambda: of_keys(KEY, spiffe_sequence=2**80), "more than 64 bits"),
    "hint-true": (lambda: of_keys(KEY, spiffe_refresh_hint=True), "spiffe_refresh_hint: it is no whole number"),
}


@pytest.mark.parametrize(("written", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_right_spoils_the_whole_document(written: Callable[[], bytes], problem: str) -> None:
    """And the message says where, and that nothing changes."""
    with pytest.raises(BundleInvalid, match=f"(?s){problem}.*last good bundle is believed on"):
        read_bundle(written(), PARTNER, NOW)


def test_too_many_roots_are_refused() -> None:
    """Each is tried against each peer."""
    roots = [jwk(authority()) for _ in range(MOST_CERTIFICATES + 1)]

    with pytest.raises(BundleInvalid, match="33 certificates, and 32"):
        read_bundle(of_keys(*roots), PARTNER, NOW)


def test_a_message_is_short_and_quotes_no_certificate() -> None:
    """Logs are read by people."""
    with pytest.raises(BundleInvalid) as caught:
        read_bundle(of_keys({**KEY, "x": "AAAA", "x5c": [base64.b64encode(b"secret" * 99).decode()]}), PARTNER, NOW)

    assert "c2VjcmV0" not in str(caught.value)
    assert len(str(caught.value)) < 400
