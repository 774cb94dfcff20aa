"""One table of material for both pre-flights: what is published is served, and nothing else."""

from __future__ import annotations

import base64
import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from entrypoint.judging.preflight import check_material
from evidence.fixtures.pki import Hierarchy
from meshcert.errors import MaterialRejected, MeshcertError, SecretMalformed
from meshcert.material import EncryptedPrivateKey, Material, Passphrase
from meshcert.material.document import read_material, write_material
from meshcert.publishing.preflight import Expectation, verify_material
from meshcert.san import Dns

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "colorteller.mtls.svc.cluster.local"
LONGEST_S = 1.0


def _tlv(tag: int, content: bytes) -> bytes:
    """DER, whose lengths are as short as they can be (X.690 section 10.1)."""
    size = len(content)
    long = size.to_bytes(size.bit_length() // 8 + 1, "big").lstrip(b"\0")
    length = bytes([size]) if size < 128 else bytes([0x80 + len(long)]) + long
    return bytes([tag]) + length + content


def _key(iterations: int) -> str:
    """An encrypted key of so many rounds of PBKDF2; nobody has its passphrase."""
    rounds = iterations.to_bytes(iterations.bit_length() // 8 + 1, "big")
    derivation = _tlv(0x30, _tlv(4, b"saltsalt") + _tlv(2, rounds))
    kdf = _tlv(0x30, _tlv(6, bytes.fromhex("2a864886f70d01050c")) + derivation)
    cipher = _tlv(0x30, _tlv(6, bytes.fromhex("60864801650304012a")) + _tlv(4, bytes(16)))
    scheme = _tlv(0x30, _tlv(6, bytes.fromhex("2a864886f70d01050d")) + _tlv(0x30, kdf + cipher))
    body = base64.encodebytes(_tlv(0x30, scheme + _tlv(4, bytes(160)))).decode()
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}-----END ENCRYPTED PRIVATE KEY-----\n"


def _in_the_clear(material: Material) -> str:
    key = load_pem_private_key(material.private_key.reveal().encode(), material.passphrase.reveal().encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _texts(change: Callable[[str], str]) -> Callable[[Material], Material]:
    def changed(material: Material) -> Material:
        return material._replace(
            certificate=change(material.certificate),
            certificate_chain=change(material.certificate_chain),
            private_key=EncryptedPrivateKey(change(material.private_key.reveal())),
        )

    return changed


def _with_key(change: Callable[[Material], str]) -> Callable[[Material], Material]:
    return lambda material: material._replace(private_key=EncryptedPrivateKey(change(material)))


GOOD: dict[str, Callable[[Material], Material]] = {
    "as ACM gives it": lambda material: material,
    "CRLF": _texts(lambda text: text.replace("\n", "\r\n")),
    "CR alone": _texts(lambda text: text.replace("\n", "\r")),
    "no line break at the end": _texts(str.rstrip),
    "white space around it": _texts(lambda text: f"\n \t{text}\n\n"),
}
BAD: dict[str, Callable[[Material], Material]] = {
    "a key in the clear before the encrypted one": _with_key(lambda one: _in_the_clear(one) + one.private_key.reveal()),
    "a key in the clear behind the encrypted one": _with_key(lambda one: one.private_key.reveal() + _in_the_clear(one)),
    "a key in the clear": _with_key(_in_the_clear),
    "two keys": _with_key(lambda one: one.private_key.reveal() * 2),
    "two leaves": lambda one: one._replace(certificate=one.certificate * 2),
    "a leaf and its chain": lambda one: one._replace(certificate=one.certificate + one.certificate_chain),
    "attributes before the blocks": _texts(lambda text: f"Bag Attributes\n    localKeyID: 01\n{text}"),
    "a byte order mark": _texts(lambda text: f"\ufeff{text}"),
    "text behind the blocks": _texts(lambda text: f"{text}# the end"),
    "another label": lambda one: one._replace(certificate=one.certificate.replace("CERTIFICATE", "X509 CERTIFICATE")),
    "2^31 rounds": _with_key(lambda _: _key(2**31 - 1)),
    "100,001 rounds": _with_key(lambda _: _key(100_001)),
    "no round": _with_key(lambda _: _key(0)),
    "100,000 rounds, and nobody has the passphrase": _with_key(lambda _: _key(100_000)),
    "a wrong passphrase": lambda one: one._replace(passphrase=Passphrase("wrong")),
    "an empty certificate": lambda one: one._replace(
        certificate="-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n"
    ),
    "a thousand empty issuers": lambda one: one._replace(
        certificate_chain="-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n" * 1000
    ),
    "beginnings without an end": lambda one: one._replace(certificate="-----BEGIN CERTIFICATE-----\n" * 2000),
}


_ROUNDS = "a key derivation of more than 100,000 rounds"
_ONE_KEY = ("private key: it is encrypted with no readable PKCS#8", "not exactly one PEM block BEGIN ENCRYPTED PRIVATE")
_ONE_CERTIFICATE = ("certificate: it is not one PEM certificate", "not exactly one PEM block BEGIN CERTIFICATE")
_PASSPHRASE = ("private key: the passphrase does not open it", "Passphrase: it does not open the private key")
REASONS = {
    **dict.fromkeys(BAD, _ONE_CERTIFICATE),
    **dict.fromkeys((name for name in BAD if "key" in name), _ONE_KEY),
    **dict.fromkeys((name for name in BAD if "round" in name), (_ROUNDS, _ROUNDS)),
    **dict.fromkeys((name for name in BAD if "passphrase" in name), _PASSPHRASE),
    "an empty certificate": (
        "certificate: it is not one PEM certificate",
        "a PEM block BEGIN CERTIFICATE is not base64",
    ),
    "a thousand empty issuers": ("certificate chain: it is not PEM certificates", "CertificateChain: a PEM block"),
}
"""What the functions and the container say is wrong: another reason would leave the claim untried."""


def _published(material: Material, hierarchy: Hierarchy) -> Material:
    now = dt.datetime.now(dt.UTC)
    expected = Expectation("colorteller", (Dns(NAME),), ((Dns(NAME),),), hierarchy.root_pem, now)
    return verify_material(material, expected)


def _served(material: Material) -> Material:
    read = read_material(write_material(material, {}), "the secret")
    check_material(read, (Dns(NAME),), "the secret", time.time())
    return read


@pytest.mark.parametrize("name", GOOD)
def test_good_material_is_published_and_served_as_the_same_blocks(name: str) -> None:
    """However its lines end; Envoy and the secret get the blocks, and not the text around them."""
    hierarchy = Hierarchy()
    material = hierarchy.issue([NAME])

    changed = GOOD[name](material)

    assert _published(changed, hierarchy) == material
    assert _served(changed) == material


@pytest.mark.parametrize("name", BAD)
def test_bad_material_is_refused_by_both_in_time(name: str) -> None:
    """With a typed error, which holds nothing of the key; nobody tries a key whose derivation takes for ever."""
    hierarchy = Hierarchy()
    material = BAD[name](hierarchy.issue([NAME]))
    begun = time.process_time()

    with pytest.raises(MaterialRejected) as published:
        _published(material, hierarchy)
    with pytest.raises((MaterialRejected, SecretMalformed)) as served:
        _served(material)

    assert time.process_time() - begun < LONGEST_S
    for caught, reason in zip((published, served), REASONS[name], strict=True):
        assert reason in str(caught.value)
        assert isinstance(caught.value, MeshcertError)
        assert len(str(caught.value)) < 3000
        assert not any(line in str(caught.value) for line in material.private_key.reveal().splitlines()[1:3])
