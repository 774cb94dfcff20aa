"""
The rules of a SPIFFE certificate for a workload (SPIFFE standard ``X509-SVID.md``, sections 2 to 4) about an own leaf.

Envoy and OpenSSL let pass what they forbid, and clients of the Workload API stop for good at a certificate that breaks
one. The functions check the same with a library (:mod:`meshcert.material.x509_svid`).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from entrypoint.judging import der
from entrypoint.judging.usages import KEY_USAGE
from meshcert.contract.spiffe_id import SpiffeId, SpiffeIdInvalid
from meshcert.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = "2.5.29.17"
_URI = 0x86
"""``uniformResourceIdentifier`` of ``GeneralName`` (RFC 5280 section 4.2.1.6)."""
_NO_NAMES = der.Extension(b"\x30\0", critical=False)


def uris_of(certificate: str) -> list[str] | None:
    """The URIs among the names of a certificate in PEM; None if they cannot be read."""
    try:
        return _uris(der.extensions(ssl.PEM_cert_to_DER_cert(certificate.strip())).get(_NAMES, _NO_NAMES))
    except (ValueError, IndexError):
        return None


def svid_faults(certificate: str, place: str, remedy: str) -> Iterator[Fault]:
    """
    The rules that a leaf with a SPIFFE ID breaks, beside those of :func:`entrypoint.judging.usages.usage_faults`.

    Args:
        certificate: One certificate, PEM.
        place: For the faults, as is ``remedy``.
    """
    encoded = ssl.PEM_cert_to_DER_cert(certificate.strip())
    try:
        found = der.extensions(encoded)
        names = found.get(_NAMES, _NO_NAMES)
        uris = _uris(names)
        subject = der.read_certificate(encoded).subject
    except (ValueError, IndexError):
        yield Fault(place, "its names or extensions cannot be read", remedy)
        return
    for section, problem in _problems(found, uris, has_subject=bool(subject), names_critical=names.critical):
        yield Fault(place, f"{problem} (X509-SVID section {section})", remedy)


def _uris(names: der.Extension) -> list[str]:
    return [name.content.decode("ascii") for name in der.sequence(names.value) if name.tag == _URI]


def _problems(
    found: dict[str, der.Extension], uris: list[str], *, has_subject: bool, names_critical: bool
) -> Iterator[tuple[str, str]]:
    if len(uris) != 1:
        yield "2", f"it has {len(uris)} URIs, and must have exactly one"
    for uri in uris:
        try:
            SpiffeId.of_workload(uri)
        except SpiffeIdInvalid as error:
            yield "2", str(error)
    if not has_subject and not names_critical:
        yield "3.1", "its subject is empty, and its names are not marked critical"
    if KEY_USAGE not in found:
        yield "4.3", "it has no key usage"
    elif not found[KEY_USAGE].critical:
        yield "4.3", "its key usage is not marked critical"
