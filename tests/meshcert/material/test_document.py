"""The JSON inside a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.errors import SecretMalformed, SecretNotPublished
from meshcert.material.document import PLACEHOLDER, read_material, read_trust_bundle, write_material, write_trust_bundle
from tests.meshcert.material.test_material import assert_no_secret_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

SECRET = "meshcert/color/identity/colorteller"


def test_material_survives_the_way_through_a_secret(material: Material) -> None:
    """What is written is what is read, facts beside it or not."""
    text = write_material(material, {"SerialNumber": "0a", "Names": ["a.b"]})

    assert read_material(text, SECRET) == material
    assert json.loads(text)["SerialNumber"] == "0a"


def test_the_fields_are_those_of_acms_export(material: Material) -> None:
    """Schema 1: whoever knows ExportCertificate can read it."""
    assert set(json.loads(write_material(material, {}))) == {
        "Schema",
        "Certificate",
        "CertificateChain",
        "PrivateKey",
        "Passphrase",
    }


def test_the_passphrase_is_the_real_one(material: Material) -> None:
    """No private encoding: boto3 encodes blobs on the wire by itself."""
    assert json.loads(write_material(material, {}))["Passphrase"] == material.passphrase.reveal()


def test_a_trust_bundle_survives_the_way_through_a_secret(hierarchy: Hierarchy) -> None:
    """It holds certificates only."""
    text = write_trust_bundle(hierarchy.trust_bundle)

    assert read_trust_bundle(text, SECRET) == hierarchy.trust_bundle
    assert "PRIVATE" not in text


@pytest.mark.parametrize("read", [read_material, read_trust_bundle])
def test_the_templates_placeholder_means_not_published_yet(read: Callable[[str, str], object]) -> None:
    """It heals by itself, so it is NotReady and names the secret."""
    with pytest.raises(SecretNotPublished, match=f"{SECRET} holds the template's placeholder"):
        read(PLACEHOLDER, SECRET)


_NOT_ONE = "it is not exactly one PEM block BEGIN"
_IN_THE_CLEAR = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
MALFORMED: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "not JSON": (lambda fields: json.dumps(fields)[:-1], "it is not JSON"),
    "a list": (lambda fields: json.dumps([fields]), "no object"),
    "another schema": (lambda fields: json.dumps(fields | {"Schema": 2}), "Schema is not 1"),
    "no schema": (lambda fields: json.dumps({k: v for k, v in fields.items() if k != "Schema"}), "Schema is not 1"),
    "no passphrase": (lambda fields: json.dumps(fields | {"Passphrase": ""}), "missing or empty: Passphrase"),
    "two fields missing": (
        lambda fields: json.dumps(fields | {"Certificate": None, "PrivateKey": 5}),
        "missing or empty: Certificate, PrivateKey",
    ),
    "certificate not PEM": (
        lambda fields: json.dumps(fields | {"Certificate": "tempcert"}),
        "Certificate: it is not exactly one PEM block BEGIN CERTIFICATE",
    ),
    "chain not PEM": (lambda fields: json.dumps(fields | {"CertificateChain": "-"}), "CertificateChain holds no"),
    "key not PEM": (
        lambda fields: json.dumps(fields | {"PrivateKey": "tempkey"}),
        _NOT_ONE,
    ),
    "key not encrypted": (
        lambda fields: json.dumps(fields | {"PrivateKey": "-----BEGIN PRIVATE KEY-----\nMIIB\n"}),
        _NOT_ONE,
    ),
    "a key in the clear behind the encrypted one": (
        lambda fields: json.dumps(fields | {"PrivateKey": fields["PrivateKey"] + _IN_THE_CLEAR}),
        _NOT_ONE,
    ),
    "a key in the clear before the encrypted one": (
        lambda fields: json.dumps(fields | {"PrivateKey": _IN_THE_CLEAR + fields["PrivateKey"]}),
        _NOT_ONE,
    ),
    "two leaves": (
        lambda fields: json.dumps(fields | {"Certificate": fields["Certificate"] * 2}),
        _NOT_ONE,
    ),
    "attributes before the leaf": (
        lambda fields: json.dumps(fields | {"Certificate": "Bag Attributes\n" + fields["Certificate"]}),
        _NOT_ONE,
    ),
    "a block that is no base64": (
        lambda fields: json.dumps(fields | {"Certificate": fields["Certificate"].replace("M", "!")}),
        "Certificate: a PEM block BEGIN CERTIFICATE is not base64",
    ),
    "very many issuers": (
        lambda fields: json.dumps(fields | {"CertificateChain": fields["CertificateChain"] * 20}),
        "CertificateChain holds 40 PEM certificates; 1 to 16 are read",
    ),
    "a very long passphrase": (
        lambda fields: json.dumps(fields | {"Passphrase": "x" * 129}),
        "Passphrase is longer than 128",
    ),
    "more than a secret can hold": (lambda fields: json.dumps(fields | {"Rest": "x" * 70_000}), "longer than 65536"),
}


@pytest.mark.parametrize(("spoil", "words"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_secret_is_named_with_its_fault(
    material: Material, spoil: Callable[[dict[str, Any]], str], words: str
) -> None:
    """The message names the secret, the field and the next step, and quotes nothing."""
    text = spoil(json.loads(write_material(material, {})))

    with pytest.raises(SecretMalformed, match=f"{SECRET}: .*{words}.*Publish it again") as caught:
        read_material(text, SECRET)

    assert_no_secret_in(str(caught.value), material)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("bundle", ["", "tempcert"])
def test_a_trust_bundle_without_a_certificate_is_malformed(bundle: str) -> None:
    """Nobody is checked against nothing."""
    with pytest.raises(SecretMalformed, match="TrustBundle"):
        read_trust_bundle(json.dumps({"Schema": 1, "TrustBundle": bundle}), SECRET)
