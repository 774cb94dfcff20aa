"""What a certificate may be used for, by its own extensions: OpenSSL takes a missing extension for a permission."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from entrypoint.judging import der
from meshcert.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY_USAGE, _BASIC_CONSTRAINTS, _EXTENDED_KEY_USAGE = "2.5.29.15", "2.5.29.19", "2.5.29.37"
_EMPTY = b"\x30\0"
_ROLES = {"serverAuth": "1.3.6.1.5.5.7.3.1", "clientAuth": "1.3.6.1.5.5.7.3.2"}
_DIGITAL_SIGNATURE, _SIGNS_CERTIFICATES_OR_LISTS = 0x80, 0x06
"""Bits 0, 5 and 6 of the first byte (RFC 5280 section 4.2.1.3)."""

_REMEDY = "Have the CA use the template EndEntityCertificate/V1, then have it exported and published again"


def usage_faults(certificate: str) -> Iterator[Fault]:
    """
    The faults in a leaf's usages.

    Args:
        certificate: One certificate, PEM.
    """
    try:
        found = der.extensions(ssl.PEM_cert_to_DER_cert(certificate.strip()))
        usage = _bits(found[_KEY_USAGE]) if _KEY_USAGE in found else _DIGITAL_SIGNATURE
        constraints = list(_sequence(found.get(_BASIC_CONSTRAINTS, _EMPTY)))
        roles = [der.dotted(role) for role in _sequence(found.get(_EXTENDED_KEY_USAGE, _EMPTY))]
    except (ValueError, IndexError, StopIteration):
        yield Fault("Certificate", "its extensions cannot be read, or one is there twice", _REMEDY)
        return
    if any(element.tag == der.BOOLEAN for element in constraints):
        yield Fault("Certificate", "it is a CA's, not a leaf", _REMEDY)
    if usage & _SIGNS_CERTIFICATES_OR_LISTS:
        yield Fault("Certificate", "it may sign certificates or revocation lists, as only a CA may", _REMEDY)
    if not usage & _DIGITAL_SIGNATURE:
        yield Fault("Certificate", "its key usage lacks digitalSignature, which TLS needs", _REMEDY)
    for role, identifier in _ROLES.items():
        if identifier not in roles:
            yield Fault("Certificate", f"it is not for {role}", _REMEDY)


def _sequence(value: bytes) -> Iterator[der.Element]:
    (whole,) = der.elements(value)
    return der.elements(whole.content)


def _bits(value: bytes) -> int:
    """The first byte of a BIT STRING; 0 if it is empty."""
    (whole,) = der.elements(value)
    return whole.content[1] if len(whole.content) > 1 else 0
