"""Private keys encrypted in the ways that ACM, OpenSSL and others do."""

from __future__ import annotations

import secrets
from base64 import b64encode
from textwrap import wrap
from typing import Literal

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

KeyEncryption = Literal["pbes2-sha1", "pbes2-sha224", "pbes2-sha256", "pbes2-sha384", "pbes2-sha512", "scrypt"]
AesKeyBits = Literal[128, 192, 256]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@asn1.sequence
class _AlgorithmIdentifier:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.TLV


@asn1.sequence
class _Pbes2Parameters:
    key_derivation: _AlgorithmIdentifier
    encryption: _AlgorithmIdentifier


@asn1.sequence
class _Pbkdf2Prf:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null


@asn1.sequence
class _Pbkdf2Parameters:
    salt: bytes
    iterations: int
    prf: _Pbkdf2Prf | None


@asn1.sequence
class _ScryptParameters:
    salt: bytes
    cost: int
    block_size: int
    parallelization: int


@asn1.sequence
class _EncryptedPrivateKeyInfo:
    algorithm: _AlgorithmIdentifier
    encrypted_data: bytes


_PBES2 = x509.ObjectIdentifier("1.2.840.113549.1.5.13")
_PBKDF2 = x509.ObjectIdentifier("1.2.840.113549.1.5.12")
_SCRYPT = x509.ObjectIdentifier("1.3.6.1.4.1.11591.4.11")
_AES_CBC: dict[AesKeyBits, x509.ObjectIdentifier] = {
    128: x509.ObjectIdentifier("2.16.840.1.101.3.4.1.2"),
    192: x509.ObjectIdentifier("2.16.840.1.101.3.4.1.22"),
    256: x509.ObjectIdentifier("2.16.840.1.101.3.4.1.42"),
}
_PRFS: dict[str, tuple[hashes.HashAlgorithm, x509.ObjectIdentifier | None]] = {
    # HMAC-SHA1 is PBKDF2's default and therefore left out in DER (RFC 8018 appendix A.2).
    "pbes2-sha1": (hashes.SHA1(), None),  # noqa: S303  what ACM uses
    "pbes2-sha224": (hashes.SHA224(), x509.ObjectIdentifier("1.2.840.113549.2.8")),
    "pbes2-sha256": (hashes.SHA256(), x509.ObjectIdentifier("1.2.840.113549.2.9")),
    "pbes2-sha384": (hashes.SHA384(), x509.ObjectIdentifier("1.2.840.113549.2.10")),
    "pbes2-sha512": (hashes.SHA512(), x509.ObjectIdentifier("1.2.840.113549.2.11")),
}


def encrypt_private_key(key: PrivateKey, passphrase: str, encryption: KeyEncryption, aes_bits: AesKeyBits = 256) -> str:
    """
    A private key as encrypted PKCS#8 PEM, by the key derivation asked for.

    ``cryptography`` writes PBKDF2 with HMAC-SHA256 only; the other forms are put together here from its primitives.

    Args:
        passphrase: ASCII.
        encryption: The key derivation: PBKDF2 with 2,048 iterations of an HMAC, or scrypt.
        aes_bits: Which AES, always in CBC mode.
    """
    salt, vector = secrets.token_bytes(20), secrets.token_bytes(16)
    if encryption == "scrypt":
        derived = Scrypt(salt, length=aes_bits // 8, n=1024, r=8, p=1).derive(passphrase.encode())
        derivation = _identifier(_SCRYPT, _ScryptParameters(salt=salt, cost=1024, block_size=8, parallelization=1))
    else:
        digest, oid = _PRFS[encryption]
        derived = PBKDF2HMAC(digest, length=aes_bits // 8, salt=salt, iterations=2048).derive(passphrase.encode())
        prf = _Pbkdf2Prf(algorithm=oid, parameters=asn1.Null()) if oid else None
        derivation = _identifier(_PBKDF2, _Pbkdf2Parameters(salt=salt, iterations=2048, prf=prf))
    padder = padding.PKCS7(128).padder()
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    encryptor = Cipher(algorithms.AES(derived), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    scheme = _identifier(
        _PBES2, _Pbes2Parameters(key_derivation=derivation, encryption=_identifier(_AES_CBC[aes_bits], vector))
    )
    der = asn1.encode_der(_EncryptedPrivateKeyInfo(algorithm=scheme, encrypted_data=sealed))
    body = "\n".join(wrap(b64encode(der).decode(), 64))
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"


def _identifier(algorithm: x509.ObjectIdentifier, parameters: object) -> _AlgorithmIdentifier:
    return _AlgorithmIdentifier(algorithm=algorithm, parameters=asn1.decode_der(asn1.TLV, asn1.encode_der(parameters)))
