"""Material whose keys are meshcert's own: certificates of AWS Private CA with the keys of the requests they came of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from meshcert.issuing.issued_check import verify_issued
from meshcert.issuing.issuer import IssuedCertificate
from meshcert.material import EncryptedPrivateKey, Material
from meshcert.material.certificate_facts import load_certificates
from meshcert.material.pem import CERTIFICATE, sole_block

if TYPE_CHECKING:
    from meshcert.issuing.issuing_once import Issuing
    from meshcert.issuing.private_ca import IssuedCertificates
    from meshcert.material import Passphrase, PrivateKey


class OwnMaterial:
    """
    :class:`meshcert.issuing.issuer.MaterialSource` of what AWS Private CA has issued for this mesh.

    Args:
        certificates: AWS Private CA.
        issuing: Keeps the requests with their keys.
    """

    def __init__(self, certificates: IssuedCertificates, issuing: Issuing) -> None:
        self._certificates = certificates
        self._issuing = issuing

    def look(self, reference: str) -> IssuedCertificate:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.look`."""
        certificate, chain = self._certificates.leaf(reference)
        return IssuedCertificate(certificate, chain, to_take_out=False)

    def owner(self, reference: str) -> str:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.owner`: it stands in the subject that was asked for."""
        certificate, _ = self._certificates.leaf(reference)
        return self._owner_of(certificate)

    def export(self, reference: str, passphrase: Passphrase) -> Material:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.export`."""
        certificate, chain = self._certificates.leaf(reference)
        request = self._issuing.request_of(self._owner_of(certificate), reference)
        return Material(
            certificate=verify_issued(request, certificate),
            certificate_chain=chain,
            private_key=_encrypted(request.private_key, passphrase),
            passphrase=passphrase,
        )

    def published(self, identity: str, reference: str) -> None:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.published`."""
        self._issuing.published(identity, reference)

    def _owner_of(self, certificate: str) -> str:
        return owner_in(certificate, self._issuing.mesh)


def owner_in(certificate: str, mesh: str) -> str:
    """
    The identity that a mesh has asked for a certificate for with a key of its own; empty if it has not.

    ACM writes the first name alone into the subject.
    """
    try:
        (leaf,) = load_certificates(sole_block(certificate, CERTIFICATE))
    except ValueError:
        return ""
    meshes = [each.value for each in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
    return names[0] if meshes == [mesh] and len(names) == 1 else ""


def _encrypted(private_key: PrivateKey, passphrase: Passphrase) -> EncryptedPrivateKey:
    """
    A key as Envoy opens it (:mod:`meshcert.contract.key_encryption`).

    ``cryptography`` takes PBES2 with AES-256-CBC and PBKDF2 of 2,048 rounds with HMAC-SHA256, as ACM does with SHA-1.
    """
    key = load_pem_private_key(private_key.reveal().encode(), None)
    encryption = BestAvailableEncryption(passphrase.reveal().encode())
    return EncryptedPrivateKey(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode())
