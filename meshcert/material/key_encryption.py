"""
Describe how a private key is encrypted, from its PKCS#8 header, without decrypting it.

Envoy opens fewer forms than OpenSSL and ``cryptography`` do: :mod:`meshcert.contract.key_encryption` lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509  # noqa: TC002  asn1.sequence reads the annotations at run time
from cryptography.hazmat import asn1

from meshcert.contract.key_encryption import HMAC_SHA1, MOST_ITERATIONS, NAMES, PBES2, PBKDF2, TOO_MANY_ITERATIONS
from meshcert.material.pem import ENCRYPTED_PRIVATE_KEY, decoded, sole_block

if TYPE_CHECKING:
    from meshcert.material import EncryptedPrivateKey


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
    The encryption of a private key in words, without anything of the key.

    Returns:
        For example ``PBES2 with AES-256-CBC and PBKDF2 HMAC-SHA1``; ``no readable PKCS#8 encryption`` if the header
        cannot be read.
    """
    try:
        block = sole_block(private_key.reveal(), ENCRYPTED_PRIVATE_KEY)
        return _scheme(asn1.decode_der(_EncryptedPrivateKeyInfo, decoded(block)).algorithm)
    except (OverflowError, TypeError, ValueError):
        # The parser's message may quote what it read, so it is left out.
        return "no readable PKCS#8 encryption"


def _scheme(identifier: _AlgorithmIdentifier) -> str:
    if identifier.algorithm.dotted_string != PBES2:
        return _name(identifier.algorithm)
    parameters = identifier.parameters.parse(_Pbes2Parameters)
    derivation = parameters.key_derivation
    described = _name(derivation.algorithm)
    if derivation.algorithm.dotted_string == PBKDF2:
        kdf = derivation.parameters.parse(_Pbkdf2Parameters)
        function = _name(kdf.prf.algorithm) if kdf.prf else NAMES[HMAC_SHA1]
        described = f"PBKDF2 {function}" if 0 < kdf.iterations <= MOST_ITERATIONS else TOO_MANY_ITERATIONS
    return f"PBES2 with {_name(parameters.encryption.algorithm)} and {described}"


def _name(algorithm: x509.ObjectIdentifier) -> str:
    return NAMES.get(algorithm.dotted_string, algorithm.dotted_string)
