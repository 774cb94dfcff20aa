"""
The check of a certificate that AWS Private CA has issued: that it is the one that was asked for, and nothing more.

It comes before the pre-flight, which checks the path to the trust anchor, and what peers accept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from meshcert.errors import CertificateNotAsRequested, Fault
from meshcert.material.certificate_facts import UNREADABLE, extension_of, load_certificates
from meshcert.material.pem import CERTIFICATE, sole_block
from meshcert.material.x509_svid import svid_faults, usage_faults
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.issuing.certificate_request import CertificateRequest

_REMEDY = "It is not used. Look who changed the CA, its template, or the answer, then renew the identity"


def verify_issued(request: CertificateRequest, certificate: str) -> str:
    """
    Check what came back for a request: names, key, subject, validity and usages.

    With a SPIFFE ID among the names, it has to keep the rules of an X509-SVID.

    Args:
        certificate: The leaf, PEM.

    Returns:
        The leaf with nothing around it.

    Raises:
        CertificateNotAsRequested: With every difference.
    """
    try:
        block = sole_block(certificate, CERTIFICATE)
        (leaf,) = load_certificates(block)
        faults = tuple(_faults(request, leaf))
    except UNREADABLE:
        faults = (Fault("certificate", "it is not one PEM certificate that can be read", _REMEDY),)
    if faults:
        raise CertificateNotAsRequested(request.identity, faults)
    return block


def _faults(request: CertificateRequest, leaf: x509.Certificate) -> Iterator[Fault]:
    asked = x509.load_pem_x509_csr(request.csr.encode())
    yield from _name_faults(request, leaf)
    if leaf.subject != asked.subject:
        yield Fault("certificate", "its subject is not that of the request", _REMEDY)
    if leaf.public_key() != asked.public_key():
        yield Fault("certificate", "it is for another key", _REMEDY)
    if leaf.not_valid_before_utc < request.not_before or leaf.not_valid_after_utc > request.not_after:
        problem = (
            f"it is valid from {leaf.not_valid_before_utc.isoformat()} to {leaf.not_valid_after_utc.isoformat()}, and "
            f"was asked for from {request.not_before.isoformat()} to {request.not_after.isoformat()}"
        )
        yield Fault("certificate", problem, _REMEDY)
    if leaf.not_valid_after_utc <= request.made_at:
        yield Fault("certificate", "it ended before it was asked for", _REMEDY)
    is_svid = any(isinstance(name, Uri) for name in request.names)
    yield from svid_faults(leaf) if is_svid else usage_faults(leaf)


def _name_faults(request: CertificateRequest, leaf: x509.Certificate) -> Iterator[Fault]:
    found: list[Dns | Uri] = []
    others = []
    for name in extension_of(leaf, x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.DNSName):
            found.append(Dns(name.value))
        elif isinstance(name, x509.UniformResourceIdentifier):
            found.append(Uri(name.value))
        else:
            others.append(type(name).__name__)
    if sorted(found, key=str) != sorted(request.names, key=str):
        problem = f"it has {_listed(found)}, and was asked for with {_listed(request.names)}"
        yield Fault("certificate names", problem, _REMEDY)
    if others:
        yield Fault("certificate names", f"it has names of kinds that were not asked for: {_listed(others)}", _REMEDY)


def _listed(names: list[str] | list[Dns | Uri] | tuple[Dns | Uri, ...]) -> str:
    return ", ".join(sorted(str(name) for name in names)) or "no names"
