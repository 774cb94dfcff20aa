"""Public facts about a certificate, read with ``cryptography``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from meshcert.material.pem import CERTIFICATE, blocks, sole_block
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.san import San

UNREADABLE = (
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What ``cryptography`` raises about a certificate that is malformed, or of a kind that it does not know."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True)
class CertificateFacts:
    """
    Public facts about a certificate.

    Args:
        serial_number: Lower-case hex, whole bytes, no colons: as Envoy's ``/certs`` shows it.
        not_before: Start of the validity, UTC.
        not_after: End of the validity, UTC.
        names: See :func:`sans_of`.
    """

    serial_number: str
    not_before: dt.datetime
    not_after: dt.datetime
    names: tuple[San, ...]

    def as_document(self) -> dict[str, Any]:
        """The fields that are stored beside the material in its secret; times are ISO 8601, UTC."""
        return {
            "SerialNumber": self.serial_number,
            "NotBefore": self.not_before.isoformat(),
            "NotAfter": self.not_after.isoformat(),
            "Names": [str(name) for name in self.names],
        }


def certificate_facts(certificate: str) -> CertificateFacts:
    """
    Public facts about a certificate.

    Args:
        certificate: One certificate, PEM.

    Raises:
        ValueError: If it is not one PEM certificate that can be read.
    """
    (leaf,) = load_certificates(sole_block(certificate, CERTIFICATE))
    serial = f"{leaf.serial_number:x}"
    return CertificateFacts(
        serial_number=serial.zfill(len(serial) + len(serial) % 2),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        names=sans_of(leaf),
    )


def public_key_of(certificate: str) -> str:
    """
    What two certificates for one key have in common: the SHA-256 of its SubjectPublicKeyInfo (RFC 5280 4.1.2.7), hex.

    Args:
        certificate: One certificate, PEM.

    Raises:
        ValueError: If it is not one PEM certificate that can be read.
    """
    (leaf,) = load_certificates(sole_block(certificate, CERTIFICATE))
    encoded = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def load_certificates(pem: str) -> list[x509.Certificate]:
    """
    The certificates of a PEM text, each with a name, a validity and extensions that can be read.

    ``cryptography`` reads most parts only when they are asked for, and then raises whatever is wrong with them.

    Raises:
        ValueError: If one cannot be read; the message says what is wrong, and quotes nothing.
    """
    try:
        found = x509.load_pem_x509_certificates("".join(blocks(pem, CERTIFICATE)).encode())
        for each in found:
            _ = (each.extensions, each.subject, each.issuer, each.serial_number)
            _ = (each.not_valid_before_utc, each.not_valid_after_utc)
    except UNREADABLE as error:
        raise ValueError(f"it is no certificate that can be read ({type(error).__name__})") from None
    return found


def sans_of(certificate: x509.Certificate) -> tuple[San, ...]:
    """A certificate's DNS names and URIs, in the order of its extension; other kinds of names are left out."""
    names: list[San] = []
    for name in extension_of(certificate, x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.DNSName):
            names.append(Dns(name.value))
        elif isinstance(name, x509.UniformResourceIdentifier):
            names.append(Uri(name.value))
    return tuple(names)


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The value of a certificate's extension; None if the certificate does not have it."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
