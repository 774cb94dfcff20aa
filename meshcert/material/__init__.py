"""
Certificate, chain, encrypted private key and passphrase that belong together; their facts and their JSON.

Importing the package loads only the standard library, because every container imports it at its start.
"""

from __future__ import annotations

from meshcert.material.material import (
    LIST_LOCATION,
    EncryptedPrivateKey,
    ListSource,
    Material,
    Passphrase,
    PrivateKey,
    TrustBundle,
    certificate_version,
    join_certificates,
    split_certificates,
)

__all__ = [
    "LIST_LOCATION",
    "EncryptedPrivateKey",
    "ListSource",
    "Material",
    "Passphrase",
    "PrivateKey",
    "TrustBundle",
    "certificate_version",
    "join_certificates",
    "split_certificates",
]
