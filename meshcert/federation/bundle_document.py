"""
SPIFFE bundles: JWK Sets with the roots of one trust domain (SPIFFE standard ``SPIFFE_Trust_Domain_and_Bundle.md``).

A key of an unknown kind is left out, and the others are used (section 4.2.2: clients must ignore it). A key that says
of itself that it is a root of X.509-SVIDs and cannot be right spoils the whole document: whoever wrote it did not mean
what it says.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.contract.spiffe_id import SCHEME
from meshcert.errors import BundleInvalid, Fault
from meshcert.material.certificate_facts import extension_of, load_certificates, sans_of
from meshcert.material.document import LONGEST_SECRET
from meshcert.material.foreign_bundle import MOST_CERTIFICATES, SHORTEST_HINT_S, ForeignBundle, clamped
from meshcert.san import Uri

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

MOST_BYTES = 1 << 18
"""Of a document: a hundred keys with certificates of 2 KB."""
MOST_KEYS = 100
"""Keys of a document, those that are left out among them."""
MOST_REMARKS = 20

CURVES = {"P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}
"""Names of RFC 7518 section 6.2.1.1, and those of ``cryptography``."""
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
"""Members of private and symmetric keys (RFC 7518 section 6)."""
_ASK = "The partner has to mend it"


@dataclass(frozen=True)
class BundleRead:
    """
    A document that can be believed.

    Args:
        bundle: What it says.
        remarks: What is odd about it, for people; no reason to refuse it.
    """

    bundle: ForeignBundle
    remarks: tuple[str, ...] = ()


def read_bundle(document: bytes, trust_domain: str, now: dt.datetime) -> BundleRead:
    """
    The roots that a bundle says, each checked: a CA, of this trust domain, with the key that stands beside it.

    Args:
        document: As it was given.
        trust_domain: Whose it is meant to be; the document does not say it.
        now: Only for remarks about roots that have ended.

    Raises:
        BundleInvalid: With everything that is wrong.
    """
    try:
        value = read_json(document, MOST_BYTES)
    except JsonInvalid as error:
        raise _invalid(trust_domain, "document", str(error)) from None
    if not isinstance(value, dict):
        raise _invalid(trust_domain, "document", "it is JSON, but no object")
    if "keys" not in value and "trust_domains" in value:
        problem = "it is a map of bundles, and an endpoint gives the bundle of one trust domain"
        raise _invalid(trust_domain, "document", problem)
    reader = _KeysReader(trust_domain, now)
    roots = reader.keys(value.get("keys"))
    sequence = reader.whole(value, "spiffe_sequence")
    hint = reader.whole(value, "spiffe_refresh_hint")
    if reader.faults:
        raise BundleInvalid(trust_domain, tuple(reader.faults))
    certificates = "".join(root.public_bytes(Encoding.PEM).decode() for root in roots)
    bundle = ForeignBundle(trust_domain, certificates, sequence, clamped(SHORTEST_HINT_S if hint is None else hint))
    if len(bundle.dumps()) > LONGEST_SECRET:
        raise _invalid(trust_domain, "keys", f"with them a secret would have more than {LONGEST_SECRET} bytes")
    return BundleRead(bundle, tuple(reader.remarks[:MOST_REMARKS]))


def _invalid(trust_domain: str, place: str, problem: str) -> BundleInvalid:
    return BundleInvalid(trust_domain, (Fault(place, problem, _ASK),))


class _KeysReader:
    """Reads the parts of one document, and collects what is wrong and what is odd about them."""

    def __init__(self, trust_domain: str, now: dt.datetime) -> None:
        self._trust_domain = trust_domain
        self._now = now
        self.faults: list[Fault] = []
        self.remarks: list[str] = []

    def whole(self, value: Mapping[str, Any], name: str) -> int | None:
        """A whole number of 0 or more; None if it is left out."""
        found = value.get(name)
        if name not in value or (isinstance(found, int) and not isinstance(found, bool) and found >= 0):
            return found
        self._add(name, "it is no whole number of 0 or more")
        return None

    def keys(self, value: object) -> list[x509.Certificate]:
        """The certificates of the keys that are roots of X.509-SVIDs, each once."""
        if not isinstance(value, list):
            self._add("keys", "it is missing, or no list")
            return []
        if len(value) > MOST_KEYS:
            self._add("keys", f"there are {len(value)}, and {MOST_KEYS} are read")
            return []
        found = [each for number, key in enumerate(value) for each in self._key(f"keys[{number}]", key)]
        roots = list({each.public_bytes(Encoding.DER): each for each in found}.values())
        if len(roots) > MOST_CERTIFICATES:
            self._add("keys", f"they hold {len(roots)} certificates, and {MOST_CERTIFICATES} are believed")
        return roots

    def _key(self, place: str, key: object) -> Iterator[x509.Certificate]:
        if not isinstance(key, dict):
            self._add(place, "it is no object")
        elif any(member in key for member in _PRIVATE):
            self._add(place, "it holds a private key: whoever has read it can be anybody of this trust domain")
        elif key.get("use") != "x509-svid" or key.get("kty") not in ("EC", "RSA"):
            if key.get("use") != "jwt-svid":
                self.remarks.append(f"{place} is left out: its kty or use is not known")
        else:
            if "kid" in key:
                self.remarks.append(f"{place} has a kid, which a key of use x509-svid must not have")
            yield from self._root(place, key)

    def _root(self, place: str, key: Mapping[str, Any]) -> Iterator[x509.Certificate]:
        chain = key.get("x5c")
        if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
            self._add(f"{place}.x5c", "it is no list with a certificate")
            return
        if len(chain) > 1:
            self.remarks.append(f"{place}.x5c has {len(chain)} certificates, and only the first is used")
        certificate = _certificate(chain[0])
        if certificate is None:
            self._add(f"{place}.x5c", "it is no certificate that can be read, DER in base64")
            return
        problems = [*_ca_problems(certificate), *_name_problems(certificate, self._trust_domain)]
        for problem in problems:
            self._add(f"{place}.x5c", problem)
        if not _is_its_key(certificate, key):
            self._add(place, "its key is not its certificate's")
        elif not problems:
            self._remark(place, certificate)
            yield certificate

    def _remark(self, place: str, certificate: x509.Certificate) -> None:
        if certificate.not_valid_after_utc < self._now:
            self.remarks.append(f"{place}.x5c ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
        if not _is_self_signed(certificate):
            self.remarks.append(f"{place}.x5c is not self-signed, and Envoy accepts nobody by it alone")

    def _add(self, place: str, problem: str) -> None:
        self.faults.append(Fault(place, problem, _ASK))


def _certificate(text: str) -> x509.Certificate | None:
    try:
        der = b64decode(text, validate=True)
        (found,) = load_certificates(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode())
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    return found


def _ca_problems(certificate: x509.Certificate) -> Iterator[str]:
    """What keeps a certificate from signing X509-SVIDs (X509-SVID section 4.1 to 4.3)."""
    basic = extension_of(certificate, x509.BasicConstraints)
    if basic is None or not basic.ca:
        yield "it is no CA's certificate"
    usage = extension_of(certificate, x509.KeyUsage)
    if usage is None or not usage.key_cert_sign:
        yield "its key usage does not let it sign certificates"


def _name_problems(certificate: x509.Certificate, trust_domain: str) -> Iterator[str]:
    """A root needs no SPIFFE ID; one that it has is its trust domain's own (X509-SVID section 3.2)."""
    for name in sans_of(certificate):
        if isinstance(name, Uri) and str(name).lower() != f"{SCHEME}://{trust_domain}":
            yield f"it is the certificate of {str(name)!r:.300}, and not of {SCHEME}://{trust_domain}"


def _is_its_key(certificate: x509.Certificate, key: Mapping[str, Any]) -> bool:
    """Whether a JWK (RFC 7518 sections 6.2.1 and 6.3.1) is the key of a certificate."""
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        is_curve = key["kty"] == "EC" and CURVES.get(str(key.get("crv"))) == public.curve.name
        return is_curve and (_number(key.get("x")), _number(key.get("y"))) == (point.x, point.y)
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return key["kty"] == "RSA" and (_number(key.get("n")), _number(key.get("e"))) == (numbers.n, numbers.e)
    return False


def _number(text: object) -> int | None:
    """A number in base64url without padding (RFC 7518 section 2)."""
    if not isinstance(text, str):
        return None
    try:
        return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        return None


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
