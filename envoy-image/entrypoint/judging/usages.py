"""What a certificate may be used for, by its own extensions: OpenSSL takes a missing extension for a permission."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from entrypoint.judging import der
from meshcert.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

KEY_USAGE = "2.5.29.15"
_BASIC_CONSTRAINTS, _EXTENDED_KEY_USAGE = "2.5.29.19", "2.5.29.37"
_EMPTY = der.Extension(b"\x30\0", critical=False)
_ROLES = {"serverAuth": "1.3.6.1.5.5.7.3.1", "clientAuth": "1.3.6.1.5.5.7.3.2"}
_DIGITAL_SIGNATURE, _SIGNS_CERTIFICATES_OR_LISTS = 0x80, 0x06
"""Bits 0, 5 and 6 of the first byte (RFC 5280 section 4.2.1.3)."""


def usage_faults(certificate: str, place: str, remedy: str, roles: Collection[str] | None = None) -> Iterator[Fault]:
    """
    The faults in a leaf's usages.

    Args:
        certificate: One certificate, PEM.
        place: For the faults, as is ``remedy``.
        roles: What it is used for, ``serverAuth`` or ``clientAuth``; a leaf that names no role is then for every one
            (RFC 5280 section 4.2.1.12). None for a leaf that must name both.
    """
    try:
        found = der.extensions(ssl.PEM_cert_to_DER_cert(certificate.strip()))
        usage = _bits(found[KEY_USAGE].value) if KEY_USAGE in found else _DIGITAL_SIGNATURE
        constraints = list(der.sequence(found.get(_BASIC_CONSTRAINTS, _EMPTY).value))
        named = [der.dotted(role) for role in der.sequence(found.get(_EXTENDED_KEY_USAGE, _EMPTY).value)]
    except (ValueError, IndexError, StopIteration):
        yield Fault(place, "its extensions cannot be read, or one is there twice", remedy)
        return
    if any(element.tag == der.BOOLEAN for element in constraints):
        yield Fault(place, "it is a CA's, not a leaf", remedy)
    if usage & _SIGNS_CERTIFICATES_OR_LISTS:
        yield Fault(place, "it may sign certificates or revocation lists, as only a CA may", remedy)
    if not usage & _DIGITAL_SIGNATURE:
        yield Fault(place, "its key usage lacks digitalSignature, which TLS needs", remedy)
    names_none_needed = roles is not None and _EXTENDED_KEY_USAGE not in found
    for role, identifier in _ROLES.items():
        if identifier not in named and not names_none_needed and (roles is None or role in roles):
            yield Fault(place, f"it is not for {role}", remedy)


def _bits(value: bytes) -> int:
    """The first byte of a BIT STRING; 0 if it is empty."""
    (whole,) = der.elements(value)
    return whole.content[1] if len(whole.content) > 1 else 0
