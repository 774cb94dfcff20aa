"""
How a private key is encrypted, read from its PKCS#8 header without opening it.

Envoy (BoringSSL) opens fewer forms than OpenSSL and ``cryptography`` do: PBKDF2 with HMAC-SHA512 and scrypt fail there
with ``UNSUPPORTED_PRF`` and ``UNSUPPORTED_KEY_DERIVATION_FUNCTION``, after the key was published.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import TYPE_CHECKING

from cryptography import x509  # noqa: TC002  asn1.sequence reads the annotations at run time
from cryptography.hazmat import asn1

if TYPE_CHECKING:
    from meshcert.material import EncryptedPrivateKey

_PEM = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----\s(?P<body>.*?)-----END ENCRYPTED PRIVATE KEY-----", re.DOTALL)

_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_AES_256_CBC = "2.16.840.1.101.3.4.1.42"
_HMAC_SHA1 = "1.2.840.113549.2.7"

_NAMES = {
    "1.2.840.113549.1.5.3": "PBES1 MD5-DES",
    "1.2.840.113549.1.5.10": "PBES1 SHA1-DES",
    "1.2.840.113549.1.12.1.3": "PBES1 SHA1-3DES",
    "1.2.840.113549.3.7": "3DES-CBC",
    "2.16.840.1.101.3.4.1.2": "AES-128-CBC",
    "2.16.840.1.101.3.4.1.22": "AES-192-CBC",
    _AES_256_CBC: "AES-256-CBC",
    "1.3.6.1.4.1.11591.4.11": "scrypt",
    _HMAC_SHA1: "HMAC-SHA1",
    "1.2.840.113549.2.8": "HMAC-SHA224",
    "1.2.840.113549.2.9": "HMAC-SHA256",
    "1.2.840.113549.2.10": "HMAC-SHA384",
    "1.2.840.113549.2.11": "HMAC-SHA512",
}

_OPENED_BY_ENVOY = frozenset(f"PBES2 with AES-256-CBC and PBKDF2 {prf}" for prf in ("HMAC-SHA1", "HMAC-SHA256"))


@asn1.sequence
class _AlgorithmIdentifier:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.TLV


@asn1.sequence
class _EncryptedPrivateKeyInfo:
    algorithm: _AlgorithmIdentifier
    encrypted_data: bytes


@asn1.sequence
class _Pbes2Parameters:
    key_derivation: _AlgorithmIdentifier
    encryption: _AlgorithmIdentifier


@asn1.sequence
class _PseudoRandomFunction:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Pbkdf2Parameters:
    salt: bytes
    iterations: int
    key_length: int | None
    prf: _PseudoRandomFunction | None


def describe_encryption(private_key: EncryptedPrivateKey) -> str:
    """
    How a private key is encrypted, in words; nothing of the key is in them.

    Args:
        private_key: PKCS#8 PEM.

    Returns:
        For example ``PBES2 with AES-256-CBC and PBKDF2 HMAC-SHA1``; ``no readable PKCS#8 encryption`` if it is none.
    """
    found = _PEM.search(private_key.reveal())
    try:
        info = asn1.decode_der(_EncryptedPrivateKeyInfo, b64decode(found["body"])) if found else None
        return _scheme(info.algorithm) if info else "no readable PKCS#8 encryption"
    except (ValueError, binascii.Error):
        # The parser's message may quote what it read, so it is left out.
        return "no readable PKCS#8 encryption"


def envoy_can_open(encryption: str) -> bool:
    """
    Whether Envoy's ``password`` opens a key encrypted like this.

    Args:
        encryption: As :func:`describe_encryption` words it.
    """
    return encryption in _OPENED_BY_ENVOY


def _scheme(identifier: _AlgorithmIdentifier) -> str:
    if identifier.algorithm.dotted_string != _PBES2:
        return _name(identifier.algorithm)
    parameters = identifier.parameters.parse(_Pbes2Parameters)
    derivation = parameters.key_derivation
    described = _name(derivation.algorithm)
    if derivation.algorithm.dotted_string == _PBKDF2:
        prf = derivation.parameters.parse(_Pbkdf2Parameters).prf
        # RFC 8018 appendix A.2: HMAC-SHA1 is the default, and DER leaves defaults out.
        described = f"PBKDF2 {_name(prf.algorithm) if prf else _NAMES[_HMAC_SHA1]}"
    return f"PBES2 with {_name(parameters.encryption.algorithm)} and {described}"


def _name(algorithm: x509.ObjectIdentifier) -> str:
    return _NAMES.get(algorithm.dotted_string, algorithm.dotted_string)
