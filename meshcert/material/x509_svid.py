"""
The rules of a SPIFFE certificate for a workload: SPIFFE standard ``X509-SVID.md``, sections 2 to 4.

Envoy lets pass what several of them forbid (a second URI, a path that is none, an extended key usage for one role), so
such a certificate is refused before Envoy gets it. Not checked: the path to a CA, and validity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshcert.contract.spiffe_id import SpiffeId, SpiffeIdInvalid
from meshcert.errors import Fault
from meshcert.material.certificate_facts import extension_of, sans_of
from meshcert.san import Uri

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
_REMEDY = "Have the CA use the template EndEntityCertificate/V1, and ask it for the declared names alone"


def svid_faults(leaf: x509.Certificate) -> list[Fault]:
    """Each rule of an X509-SVID that a certificate breaks, with the rule's section."""
    return [*svid_name_faults(leaf), *usage_faults(leaf)]


def svid_name_faults(leaf: x509.Certificate) -> list[Fault]:
    """The same for the rules about names."""
    problems = _name_problems(leaf)
    return [Fault("certificate", f"{problem} (X509-SVID section {section})", _REMEDY) for section, problem in problems]


def usage_faults(leaf: x509.Certificate) -> list[Fault]:
    """The same for the rules about the use of the key, which hold for every certificate of a workload."""
    problems = _usage_problems(leaf)
    return [Fault("certificate", f"{problem} (X509-SVID section {section})", _REMEDY) for section, problem in problems]


def _name_problems(leaf: x509.Certificate) -> Iterator[tuple[str, str]]:
    uris = [name for name in sans_of(leaf) if isinstance(name, Uri)]
    if len(uris) != 1:
        yield "2", f"it has {len(uris)} URIs, and must have exactly one"
    for uri in uris:
        try:
            SpiffeId.of_workload(str(uri))
        except SpiffeIdInvalid as error:
            yield "2", str(error)
    if not list(leaf.subject) and not _is_critical(leaf, x509.SubjectAlternativeName):
        yield "3.1", "its subject is empty, and its names are not marked critical"


def _usage_problems(leaf: x509.Certificate) -> Iterator[tuple[str, str]]:
    constraints = extension_of(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield "4.1", "it is a CA's, not a leaf"
    usage = extension_of(leaf, x509.KeyUsage)
    if usage is None:
        yield "4.3", "it has no key usage"
    else:
        if not _is_critical(leaf, x509.KeyUsage):
            yield "4.3", "its key usage is not marked critical"
        if not usage.digital_signature:
            yield "4.3", "its key usage lacks digitalSignature"
        if usage.key_cert_sign:
            yield "4.3", "it may sign certificates (keyCertSign)"
        if usage.crl_sign:
            yield "4.3", "it may sign revocation lists (cRLSign)"
    roles = extension_of(leaf, x509.ExtendedKeyUsage)
    if roles is not None and not _ROLES.issubset(roles):
        yield "4.4", "its extended key usage is not for both serverAuth and clientAuth"


def _is_critical(leaf: x509.Certificate, kind: type[x509.ExtensionType]) -> bool:
    return any(isinstance(extension.value, kind) and extension.critical for extension in leaf.extensions)
