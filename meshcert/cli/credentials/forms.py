"""The files that a client outside the mesh reads, made of what is published: PEM, and PKCS#12 for a JVM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from meshcert.material.certificate_facts import load_certificates

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12PrivateKeyTypes

    from meshcert.material import Material, Passphrase

CERTIFICATE_CHAIN, PRIVATE_KEY, TRUST_BUNDLE = "certificate_chain.pem", "private_key.pem", "trust_bundle.pem"
KEYSTORE, TRUSTSTORE = "keystore.p12", "truststore.p12"


@dataclass(frozen=True)
class Forms:
    """
    How material is written.

    Args:
        clear_key: Whether the private key's PEM is not encrypted.
        pkcs12: Whether there are key store and trust store for a JVM, too.
        passphrase: Of everything that is encrypted; None if nothing is.
    """

    clear_key: bool
    pkcs12: bool
    passphrase: Passphrase | None

    @property
    def name(self) -> str:
        """Tells one choice from another, and nothing of the passphrase."""
        return f"{'clear' if self.clear_key else 'encrypted'}{'+pkcs12' if self.pkcs12 else ''}"


def files_of(identity: str, material: Material, roots: str, forms: Forms) -> dict[str, bytes]:
    """
    The content of each file, by its name.

    Args:
        material: Has passed the pre-flight.
        roots: Of the peers, PEM; empty if none are wanted.
    """
    # The product's other openings are in a task's memory; this one is for whoever asks for a key in files.
    key: PKCS12PrivateKeyTypes = load_pem_private_key(  # type: ignore[assignment]  # ACM's and ours are RSA and EC
        material.private_key.reveal().encode(), material.passphrase.reveal().encode()
    )
    sealed = _encryption(forms.passphrase)
    files = {
        CERTIFICATE_CHAIN: material.presented_chain.encode(),
        PRIVATE_KEY: key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption() if forms.clear_key else sealed
        ),
    }
    if roots:
        files[TRUST_BUNDLE] = roots.encode()
    if forms.pkcs12:
        leaf, *issuers = load_certificates(material.presented_chain)
        files[KEYSTORE] = pkcs12.serialize_key_and_certificates(identity.encode(), key, leaf, issuers, sealed)
        if roots:
            # As a JVM wants it: certificates alone, each marked as trusted.
            trusted = [
                pkcs12.PKCS12Certificate(root, f"root-{number}".encode())
                for number, root in enumerate(load_certificates(roots))
            ]
            files[TRUSTSTORE] = pkcs12.serialize_java_truststore(trusted, sealed)
    return files


def _encryption(passphrase: Passphrase | None) -> KeySerializationEncryption:
    return BestAvailableEncryption(passphrase.reveal().encode()) if passphrase else NoEncryption()
