"""How a key is encrypted: functions and container read it from the key, with two readers and one table."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from entrypoint.judging import der
from local.pkcs8 import AesKeyBits, KeyEncryption, encrypt_private_key
from meshcert.contract.key_encryption import OPENED_BY_ENVOY
from meshcert.material import EncryptedPrivateKey
from meshcert.material.key_encryption import describe_encryption

if TYPE_CHECKING:
    from local.pkcs8 import PrivateKey

WORDS: dict[KeyEncryption, str] = {
    "pbes2-sha1": "PBKDF2 HMAC-SHA1",
    "pbes2-sha224": "PBKDF2 HMAC-SHA224",
    "pbes2-sha256": "PBKDF2 HMAC-SHA256",
    "pbes2-sha384": "PBKDF2 HMAC-SHA384",
    "pbes2-sha512": "PBKDF2 HMAC-SHA512",
    "scrypt": "scrypt",
}


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    """Any key."""
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("aes_bits", "derivation"), list(itertools.product(get_args(AesKeyBits), get_args(KeyEncryption)))
)
def test_functions_and_container_say_the_same_of_a_key(
    key: PrivateKey, aes_bits: AesKeyBits, derivation: KeyEncryption
) -> None:
    """Both say it in the same words without opening the key, so what one lets through the other does not refuse."""
    encrypted = encrypt_private_key(key, "a passphrase", derivation, aes_bits)

    said = describe_encryption(EncryptedPrivateKey(encrypted))

    assert said == der.key_encryption(encrypted) == f"PBES2 with AES-{aes_bits}-CBC and {WORDS[derivation]}"
    assert (said in OPENED_BY_ENVOY) is (derivation in {"pbes2-sha1", "pbes2-sha256"})
