"""
This mesh's own SPIFFE bundle, as partners fetch it: a JWK Set of its roots (``SPIFFE_Trust_Domain_and_Bundle.md``).

Its ``spiffe_sequence`` is the time at which it was made, in seconds, or one more than the one before. So it grows even
where the one before is lost, and never stands for two contents.

A partner asks again after a refresh hint. A new root is therefore used only after it has stood in the bundle for
:data:`HINTS` of them; see :func:`next_bundle`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from meshcert.errors import BundleInvalid, Fault
from meshcert.federation.bundle_document import CURVES, read_bundle
from meshcert.material.certificate_facts import load_certificates
from meshcert.material.foreign_bundle import MOST_CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography import x509

HINTS = 3
"""Refresh hints for which a new root stands in the bundle before a certificate hangs under it (SPIFFE_Federation
section 5.2: three to five)."""
NOTES = ("usable", "settled")
"""The names of :meth:`OwnBundle.notes`."""
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclass(frozen=True)
class OwnBundle:
    """
    A bundle of this mesh, and what is remembered with it.

    Args:
        document: What partners get.
        sequence: Its ``spiffe_sequence``.
        refresh_hint_s: Seconds after which partners ask again.
        usable: When the first certificate under each of its roots may be issued, UTC, by :func:`key_of` of the root.
        settled: When whoever has an earlier bundle has asked again :data:`HINTS` times, UTC.
    """

    document: bytes
    sequence: int
    refresh_hint_s: int
    usable: Mapping[str, dt.datetime] = field(default_factory=dict)
    settled: dt.datetime = _EPOCH

    def notes(self) -> dict[str, str]:
        """What is remembered with it, as texts, at most 2 KB."""
        usable = " ".join(f"{key}={_seconds(time)}" for key, time in sorted(self.usable.items()))
        return dict(zip(NOTES, (usable, str(_seconds(self.settled))), strict=True))


def key_of(certificate: str) -> str:
    """
    The name of a root's key: a root that gets another certificate on the same key is no new one.

    Args:
        certificate: PEM.
    """
    (root,) = load_certificates(certificate)
    info = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()[:32]


def next_bundle(before: OwnBundle | None, roots: Iterable[str], refresh_hint_s: int, now: dt.datetime) -> OwnBundle:
    """
    The bundle that follows another one.

    The roots of a first bundle can be used at once: no partner has an older one. A root that comes later can be used
    once every partner has had :data:`HINTS` refresh hints to fetch it, counted from now, and by the longest hint that a
    partner may still go by.

    Args:
        before: What partners get now; None if there has never been one.
        roots: Certificates, PEM each, in any order.

    Returns:
        The one before, if it says the same.

    Raises:
        BundleInvalid: If they are more than a partner believes.
    """
    certificates = sorted(set(roots))
    if len(certificates) > MOST_CERTIFICATES:
        problem = f"there are {len(certificates)} roots, and a bundle has {MOST_CERTIFICATES} at most"
        raise _invalid(problem, "List fewer hierarchies")
    if before and before.document == _document(certificates, before.sequence, refresh_hint_s):
        return before
    keys = [key_of(certificate) for certificate in certificates]
    sequence = max(int(now.timestamp()), before.sequence + 1 if before else 0)
    settled = max(before.settled, _after(now, before.refresh_hint_s)) if before else now
    fresh = max(settled, _after(now, refresh_hint_s)) if before else now
    known = before.usable if before else {}
    usable = {key: known.get(key, fresh) for key in keys}
    return OwnBundle(_document(certificates, sequence, refresh_hint_s), sequence, refresh_hint_s, usable, settled)


def read_own_bundle(document: bytes, notes: Mapping[str, str], trust_domain: str, now: dt.datetime) -> OwnBundle:
    """
    A bundle that was published, and what was remembered with it; a root of which nothing is known is a new one.

    Raises:
        BundleInvalid: If it is none.
    """
    bundle = read_bundle(document, trust_domain, now).bundle
    usable: dict[str, dt.datetime] = {}
    for each in notes.get(NOTES[0], "").split():
        key, _, seconds = each.partition("=")
        if (time := _time(seconds)) is not None:
            usable[key] = time
    settled = _time(notes.get(NOTES[1], "")) or _EPOCH
    return OwnBundle(document, bundle.sequence or 0, bundle.refresh_hint_s, usable, settled)


def _document(certificates: Iterable[str], sequence: int, refresh_hint_s: int) -> bytes:
    keys = [_jwk(root) for certificate in certificates for root in load_certificates(certificate)]
    value = {"keys": keys, "spiffe_sequence": sequence, "spiffe_refresh_hint": refresh_hint_s}
    return json.dumps(value, indent=1).encode()


def _jwk(root: x509.Certificate) -> dict[str, Any]:
    """A root as a JWK (RFC 7517; RFC 7518 sections 6.2.1 and 6.3.1); a ``kid`` must not be there."""
    public = root.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        size, point = (public.key_size + 7) // 8, public.public_numbers()
        curve = next(name for name, known in CURVES.items() if known == public.curve.name)
        fields = {"kty": "EC", "crv": curve, "x": _number(point.x, size), "y": _number(point.y, size)}
    elif isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        fields = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    else:
        raise _invalid(f"a root's key is {type(public).__name__}", "Use an elliptic curve's key, or RSA")
    x5c = [b64encode(root.public_bytes(Encoding.DER)).decode()]
    return {**fields, "use": "x509-svid", "x5c": x5c}


def _invalid(problem: str, remedy: str) -> BundleInvalid:
    return BundleInvalid("this mesh", (Fault("mesh.published_bundle.hierarchies", problem, remedy),))


def _number(value: int, size: int = 0) -> str:
    """A number in base64url without padding (RFC 7518 section 2)."""
    octets = value.to_bytes(size or (value.bit_length() + 7) // 8)
    return urlsafe_b64encode(octets).decode().rstrip("=")


def _after(now: dt.datetime, refresh_hint_s: int) -> dt.datetime:
    return now + dt.timedelta(seconds=HINTS * refresh_hint_s)


def _seconds(time: dt.datetime) -> int:
    return -int(-time.timestamp() // 1)


def _time(seconds: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
