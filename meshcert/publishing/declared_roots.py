"""
The roots that the mesh file declares for CAs of the user's, in the functions' environment.

The chain of a CA says which root it leads to, and its owner can have it signed under another one. Peers trust what the
file declares: a chain that leads elsewhere is refused, at a deploy and at every renewal. CloudFormation alone writes
that environment.

The text has ``CA=SHA256`` for each CA, with blanks between them: the CA's id, and the digest of its root's subject and
public key. A root that is reissued on the same key stays the same: leaves verify against either of its certificates.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from meshcert.errors import RootNotDeclared
from meshcert.material.certificate_facts import load_certificates

LENGTH = 102
"""Characters of one CA's entry, with a blank."""


def root_digest(pem: str) -> str:
    """
    SHA-256 of a root's subject and public key, lower-case hex.

    Raises:
        ValueError: If it is not one certificate.
    """
    (root,) = load_certificates(pem)
    key = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(root.subject.public_bytes() + key).hexdigest()


def roots_entry(certificate_authority_arn: str, root: str) -> str:
    """The text of one CA with its root, PEM."""
    return f"{_id(certificate_authority_arn)}={root_digest(root)}"


class DeclaredRoots:
    """
    The declared roots.

    Args:
        text: Entries with blanks between them; what is no entry declares none.
    """

    def __init__(self, text: str = "") -> None:
        self._by_id = dict(part.split("=", 1) for part in text.split() if "=" in part)

    def require(self, certificate_authority_arn: str, root: str) -> None:
        """
        Refuse a root that is not declared for a CA of the user's; of a CA of the mesh's own, nothing is declared.

        Args:
            root: The certificate in which the CA's chain ends, PEM.

        Raises:
            RootNotDeclared: If it is another one, or no certificate.
        """
        if not self.is_declared(certificate_authority_arn):
            return
        if not self.is_root_of(certificate_authority_arn, root):
            raise RootNotDeclared(certificate_authority_arn)

    def is_root_of(self, certificate_authority_arn: str, certificate: str) -> bool:
        """Whether a certificate, PEM, is that of the root that is declared for a CA of the user's."""
        try:
            return root_digest(certificate) == self._by_id.get(_id(certificate_authority_arn))
        except ValueError:
            return False

    def is_declared(self, certificate_authority_arn: str) -> bool:
        """Whether a CA is one of the user's."""
        return _id(certificate_authority_arn) in self._by_id


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]
