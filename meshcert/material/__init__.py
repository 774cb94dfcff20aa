"""
Certificate, chain, encrypted private key and passphrase that belong together, and what is written in them.

Loading the package costs the standard library only: it is part of every container's start.
"""

from __future__ import annotations

from meshcert.material.material import (
    EncryptedPrivateKey,
    ListSource,
    Material,
    Passphrase,
    TrustBundle,
    certificate_version,
    join_certificates,
    split_certificates,
)

__all__ = [
    "EncryptedPrivateKey",
    "ListSource",
    "Material",
    "Passphrase",
    "TrustBundle",
    "certificate_version",
    "join_certificates",
    "split_certificates",
]
