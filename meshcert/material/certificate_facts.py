"""What is public about a certificate, read with ``cryptography``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography import x509

if TYPE_CHECKING:
    import datetime as dt

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True)
class CertificateFacts:
    """
    What is public about a certificate.

    Args:
        serial_number: Lower-case hex, whole bytes, no colons: as Envoy's ``/certs`` shows it.
        not_before: Start of its validity, UTC.
        not_after: End of its validity, UTC.
        names: DNS names of its subject alternative name extension.
    """

    serial_number: str
    not_before: dt.datetime
    not_after: dt.datetime
    names: tuple[str, ...]

    def as_document(self) -> dict[str, Any]:
        """The fields that stand beside the material in its secret; times are ISO 8601, UTC."""
        return {
            "SerialNumber": self.serial_number,
            "NotBefore": self.not_before.isoformat(),
            "NotAfter": self.not_after.isoformat(),
            "Names": list(self.names),
        }


def certificate_facts(certificate: str) -> CertificateFacts:
    """
    What is public about a certificate.

    Args:
        certificate: One certificate, PEM.

    Raises:
        ValueError: If it is not PEM.
    """
    leaf = x509.load_pem_x509_certificate(certificate.encode())
    serial = f"{leaf.serial_number:x}"
    return CertificateFacts(
        serial_number=serial.zfill(len(serial) + len(serial) % 2),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        names=dns_names(leaf),
    )


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names of its subject alternative name extension, in their order."""
    extension = extension_of(certificate, x509.SubjectAlternativeName)
    return tuple(extension.get_values_for_type(x509.DNSName)) if extension is not None else ()


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """
    An extension's value.

    Args:
        certificate: The certificate.
        kind: The extension's type.

    Returns:
        None if the certificate does not have it.
    """
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
