"""
One certificate revocation list (CRL): read, and its signature checked.

awscrt, which is loaded for that alone, checks the signature. Envoy looks up certificates in the list.
"""

from __future__ import annotations

import hashlib
from base64 import encodebytes
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.judging import der

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTEGER = 0x02
_SEQUENCE = 0x30
_BIT_STRING = 0x03
_BOOLEAN = 0x01
_TIMES = (0x17, 0x18)
_EXTENSIONS = 0xA0

_CRL_NUMBER = "2.5.29.20"
_LONGEST_NUMBER = 20
"""Bytes (RFC 5280 section 5.2.3)."""
_PARTS = frozenset({"2.5.29.27", "2.5.29.28"})
"""
A delta list's indicator, and an issuing distribution point. Both are critical (RFC 5280 sections 5.2.4 and 5.2.5), but
not in every list. Envoy would take the first for the whole list, and refuse every peer for the second.
"""
LONGEST_LIST = 1 << 20
_SIGNATURES = {
    "1.2.840.113549.1.1.11": ("RSA", "sha256"),
    "1.2.840.10045.4.3.2": ("EC", "sha256"),
    "1.2.840.10045.4.3.3": ("EC", "sha384"),
    "1.2.840.10045.4.3.4": ("EC", "sha512"),
}
"""The signature algorithms of a mesh file's CAs; awscrt checks RSA signatures only over SHA-256."""


class _RefusedError(ValueError):
    """The list cannot be used."""


class RevocationList(NamedTuple):
    """
    A list with a valid signature.

    Args:
        number: Increases with each list of a CA (RFC 5280 section 5.2.3).
        this_update: When it was made, seconds since 1970, UTC.
        next_update: When it expires, seconds since 1970, UTC: from then on, Envoy refuses every certificate of this CA.
    """

    number: int
    this_update: int
    next_update: int
    pem: str


class _CertificateList(NamedTuple):
    """The fields of a list, unchecked."""

    signed: bytes
    algorithm: str
    signature: bytes
    issuer: bytes
    times: Sequence[int]
    number: int


def read_revocation_list(encoded: bytes, authority: bytes) -> RevocationList:
    """
    Read a list and check that the CA has signed it; its times are not judged.

    Args:
        encoded: The list, DER.
        authority: The CA's own certificate, DER.

    Raises:
        ValueError: If it is not a list, is another CA's, is partial, or has a bad signature; the message says which.
    """
    if len(encoded) > LONGEST_LIST:
        raise ValueError(f"it is longer than {LONGEST_LIST} bytes")
    try:
        parts = _read(encoded)
    except _RefusedError:
        raise
    except (ValueError, IndexError, StopIteration):
        raise ValueError("it is no revocation list") from None
    issuer = der.read_certificate(authority)
    if parts.issuer != issuer.subject:
        raise ValueError("it is the list of another CA")
    if not _is_signed(parts, issuer.public_key):
        raise ValueError("its signature is not of this CA")
    this_update, next_update = parts.times
    pem = f"-----BEGIN X509 CRL-----\n{encodebytes(encoded).decode()}-----END X509 CRL-----\n"
    return RevocationList(parts.number, this_update, next_update, pem)


def _read(encoded: bytes) -> _CertificateList:
    """Read a ``CertificateList`` (RFC 5280 section 5.1)."""
    (whole,) = der.elements(encoded)
    signed, algorithm, signature = der.elements(whole.content)
    if (whole.tag, signed.tag, signature.tag) != (_SEQUENCE, _SEQUENCE, _BIT_STRING) or signature.content[0] != 0:
        raise ValueError("it is no revocation list")
    fields = [field for field in der.elements(signed.content) if field.tag != _INTEGER]
    inner, issuer, *_ = fields
    # The signed part names the signature algorithm too; the two must agree (section 5.1.1.2).
    if inner.encoding != algorithm.encoding:
        raise _RefusedError("it names two signature algorithms")
    times = [der.seconds(field) for field in fields if field.tag in _TIMES]
    if len(times) != len(_TIMES):
        raise _RefusedError("it does not say when the next list comes")
    number = _number([field for field in fields if field.tag == _EXTENSIONS])
    name = der.dotted(next(der.elements(algorithm.content)))
    return _CertificateList(signed.encoding, name, signature.content[1:], issuer.content, times, number)


def _number(wrapped: list[der.Element]) -> int:
    """The list's number, 0 if it has none; a delta list, a part of a list and any critical extension are refused."""
    number = 0
    for extension in der.elements(next(der.elements(wrapped[0].content)).content) if wrapped else ():
        identifier, *rest = der.elements(extension.content)
        name = der.dotted(identifier)
        if name in _PARTS or (rest[0].tag == _BOOLEAN and rest[0].content != b"\0"):
            raise _RefusedError("it is only a part of a list: set CrlType COMPLETE")
        if name == _CRL_NUMBER:
            encoded = next(der.elements(rest[-1].content)).content
            if len(encoded) > _LONGEST_NUMBER + 1:
                raise _RefusedError("its number is longer than RFC 5280 allows")
            number = int.from_bytes(encoded, "big")
    return number


def _is_signed(parts: _CertificateList, info: bytes) -> bool:
    from awscrt import crypto  # lists are rare, and most containers never see one

    if parts.algorithm not in _SIGNATURES:
        raise ValueError(f"it is signed by {parts.algorithm}, which is not looked at")
    family, digest_name = _SIGNATURES[parts.algorithm]
    digest = hashlib.new(digest_name, parts.signed).digest()
    try:
        if family == "EC":
            return bool(crypto.EC.new_key_from_der_data(info).verify(digest, parts.signature))
        # awscrt takes an RSA key without the SubjectPublicKeyInfo around it: the bit string's content.
        _, key = der.elements(next(der.elements(info)).content)
        rsa = crypto.RSA.new_public_key_from_der_data(key.content[1:])
        return bool(rsa.verify(crypto.RSASignatureAlgorithm.PKCS1_5_SHA256, digest, parts.signature))
    except (ValueError, RuntimeError):
        return False
