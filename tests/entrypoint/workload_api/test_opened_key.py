"""A private key, opened by the libcrypto that Python has loaded."""

from __future__ import annotations

import resource
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from entrypoint.workload_api.opened_key import KeyNotOpened, opened_key

if TYPE_CHECKING:
    from evidence.fixtures.pki import Hierarchy, KeyAlgorithm
    from local.pkcs8 import KeyEncryption

NAME = "spiffe://color.example/front"


@pytest.mark.parametrize("algorithm", ["EC_prime256v1", "EC_secp384r1", "RSA_2048"])
@pytest.mark.parametrize("encryption", ["pbes2-sha1", "pbes2-sha256"])
def test_every_key_that_envoy_opens_is_opened(
    hierarchy: Hierarchy, algorithm: KeyAlgorithm, encryption: KeyEncryption
) -> None:
    """To the same key, as PKCS#8 without encryption."""
    material = hierarchy.issue([NAME], key_algorithm=algorithm, encryption=encryption)
    pem, passphrase = material.private_key.reveal(), material.passphrase.reveal()

    found = opened_key(pem, passphrase)

    plain = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    expected = load_pem_private_key(pem.encode(), passphrase.encode()).private_bytes(*plain)
    assert load_der_private_key(found, None).private_bytes(*plain) == expected
    assert found == expected


@pytest.mark.parametrize("passphrase", ["", "another", "\0", "p" * 5000, "ß"])
def test_a_wrong_passphrase_is_told_without_it(hierarchy: Hierarchy, passphrase: str) -> None:
    """Nor is anything left that the next TLS connection would take for its own error."""
    pem = hierarchy.issue([NAME], passphrase="right").private_key.reveal()

    with pytest.raises(KeyNotOpened) as refusal:
        opened_key(pem, passphrase)

    assert str(refusal.value) == "the passphrase does not open the private key"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.local").do_handshake()


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n!\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
    ],
    ids=["nothing", "hollow", "no base64", "not encrypted"],
)
def test_what_is_no_encrypted_key_is_told(pem: str) -> None:
    """Whatever it is."""
    with pytest.raises(KeyNotOpened):
        opened_key(pem, "right")


def test_opening_keys_does_not_use_up_memory(hierarchy: Hierarchy) -> None:
    """Whether it succeeds or not; ctypes frees nothing by itself."""
    material = hierarchy.issue([NAME])
    pem, passphrase = material.private_key.reveal(), material.passphrase.reveal()
    for round_ in range(2):
        for _ in range(300):
            opened_key(pem, passphrase)
            with pytest.raises(KeyNotOpened):
                opened_key(pem, "wrong")
        if round_ == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256
