"""The real Envoy opens the keys that the table says it opens, and no others."""

from __future__ import annotations

import itertools
import json
import subprocess
from typing import TYPE_CHECKING, get_args

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local.pkcs8 import AesKeyBits, KeyEncryption, encrypt_private_key
from meshcert.contract.key_encryption import OPENED_BY_ENVOY
from meshcert.envoy import identity_resource
from meshcert.material import EncryptedPrivateKey
from meshcert.material.key_encryption import describe_encryption

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.material import Material

KINDS = list(itertools.product(get_args(AesKeyBits), get_args(KeyEncryption)))


def _encrypted(material: Material, aes_bits: AesKeyBits, derivation: KeyEncryption) -> Material:
    passphrase = material.passphrase.reveal()
    key = load_pem_private_key(material.private_key.reveal().encode(), passphrase.encode())
    encrypted = encrypt_private_key(key, passphrase, derivation, aes_bits)  # type: ignore[arg-type] # EC by default
    return material._replace(private_key=EncryptedPrivateKey(encrypted))


def _opens(envoy: Path, folder: Path, material: Material) -> tuple[bool, str]:
    """Whether Envoy takes material, and what it says."""
    secret = identity_resource("teller", material)["tls_certificate"]
    tls = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificates": [secret]},
        },
    }
    echo = {
        "name": "envoy.filters.network.echo",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    chain = {"transport_socket": tls, "filters": [echo]}
    listener = {"name": "teller", "address": address, "filter_chains": [chain]}
    file = folder / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    done = subprocess.run([envoy, "--mode", "validate", "-c", file], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("aes_bits", "derivation"), KINDS)
def test_envoy_opens_what_the_table_says(
    envoy_binary: Path, tmp_path: Path, material: Material, aes_bits: AesKeyBits, derivation: KeyEncryption
) -> None:
    """AES of every size with both HMACs; every other HMAC and scrypt end with BoringSSL's own words."""
    encrypted = _encrypted(material, aes_bits, derivation)

    opens, told = _opens(envoy_binary, tmp_path, encrypted)

    assert opens is (describe_encryption(encrypted.private_key) in OPENED_BY_ENVOY), told
    assert opens or "UNSUPPORTED_PRF" in told or "UNSUPPORTED_KEY_DERIVATION_FUNCTION" in told


def test_the_table_lists_nothing_that_is_not_tried_here(material: Material) -> None:
    """Each of its entries is one of the keys above."""
    tried = {describe_encryption(_encrypted(material, *kind).private_key) for kind in KINDS}

    assert tried > OPENED_BY_ENVOY
