"""
The JSON inside a secret, schema 1.

The field names are those of ACM's ExportCertificate answer. The passphrase is stored as it is, not in base64. A trust
bundle's secret holds certificates only.
"""

from __future__ import annotations

import json
import re
from typing import Any

from meshcert.errors import SecretMalformed, SecretNotPublished
from meshcert.material import EncryptedPrivateKey, ListSource, Material, Passphrase, TrustBundle, split_certificates

SCHEMA = 1

# Written out, and never to change: CloudFormation would publish another text over every identity's material.
PLACEHOLDER = '{"Schema": 1, "Placeholder": "Written by the template; the export function replaces it."}'
"""The value with which the template creates a secret. A changed text would make CloudFormation write a new version."""

_PLAIN = re.compile(r"[\w.-][\w./-]*", re.ASCII)
"""Names of buckets and keys that no URL has to escape."""


def write_material(material: Material, facts: dict[str, Any]) -> str:
    """
    The value of an identity's secret.

    Args:
        facts: Public facts to store beside it for people: serial number, validity, names.

    Returns:
        JSON that contains the encrypted key and its passphrase.
    """
    return json.dumps(
        {
            "Schema": SCHEMA,
            "Certificate": material.certificate,
            "CertificateChain": material.certificate_chain,
            "PrivateKey": material.private_key.reveal(),
            "Passphrase": material.passphrase.reveal(),
            **facts,
        }
    )


def read_material(text: str, secret: str) -> Material:
    """
    The material in an identity's secret.

    Args:
        text: The secret's value.
        secret: Its name or ARN, for messages.

    Returns:
        The material, complete but unchecked.

    Raises:
        SecretNotPublished: If it is the template's placeholder.
        SecretMalformed: If it is not JSON, has another schema, or lacks a field; or if a field is not text or not PEM
            of its kind.
    """
    fields = _fields(text, secret, ("Certificate", "CertificateChain", "PrivateKey", "Passphrase"))
    for name in ("Certificate", "CertificateChain"):
        _require_certificates(fields[name], name, secret)
    if "-----BEGIN ENCRYPTED PRIVATE KEY-----" not in fields["PrivateKey"]:
        raise SecretMalformed(secret, "PrivateKey is not an encrypted PKCS#8 PEM (BEGIN ENCRYPTED PRIVATE KEY)")
    return Material(
        certificate=fields["Certificate"],
        certificate_chain=fields["CertificateChain"],
        private_key=EncryptedPrivateKey(fields["PrivateKey"]),
        passphrase=Passphrase(fields["Passphrase"]),
    )


def write_trust_bundle(bundle: TrustBundle) -> str:
    """The value of a trust bundle's secret; without revocation lists, it has no field for them."""
    lists = [{"Bucket": each.bucket, "Key": each.key, "Authority": each.authority} for each in bundle.lists]
    value: dict[str, Any] = {"Schema": SCHEMA, "TrustBundle": bundle.certificates}
    return json.dumps(value | ({"RevocationLists": lists} if lists else {}))


def read_trust_bundle(text: str, secret: str) -> TrustBundle:
    """
    The roots in a trust bundle's secret.

    Args:
        text: The secret's value.
        secret: Its name or ARN, for messages.

    Raises:
        SecretNotPublished: If it is the template's placeholder.
        SecretMalformed: If it is not JSON, has another schema, holds no certificate, or describes revocation lists
            wrongly.
    """
    fields = _fields(text, secret, ("TrustBundle",))
    _require_certificates(fields["TrustBundle"], "TrustBundle", secret)
    return TrustBundle(fields["TrustBundle"], _list_sources(fields.get("RevocationLists", []), secret))


def _list_sources(value: object, secret: str) -> tuple[ListSource, ...]:
    try:
        sources = tuple(ListSource(each["Bucket"], each["Key"], each["Authority"]) for each in value)  # type: ignore[attr-defined]  # see below
        if all(
            _PLAIN.fullmatch(source.bucket) and _PLAIN.fullmatch(source.key) and split_certificates(source.authority)
            for source in sources
        ):
            return sources
    except (KeyError, TypeError):
        # The value does not have the shape that :func:`write_trust_bundle` writes.
        pass
    raise SecretMalformed(secret, "RevocationLists is no list of Bucket, Key and Authority")


def _fields(text: str, secret: str, names: tuple[str, ...]) -> dict[str, Any]:
    """All fields of a value; those in ``names`` have been checked to be text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # The parser's own message quotes the text, which may be a key: it is left out, and so is the cause.
        raise SecretMalformed(secret, "it is not JSON") from None
    if not isinstance(value, dict):
        raise SecretMalformed(secret, "it is JSON, but no object")
    if "Placeholder" in value:
        raise SecretNotPublished(secret)
    if value.get("Schema") != SCHEMA:
        raise SecretMalformed(secret, f"its Schema is not {SCHEMA}: this version of meshcert cannot read it")
    missing = [name for name in names if not isinstance(value.get(name), str) or not value[name]]
    if missing:
        raise SecretMalformed(secret, f"missing or empty: {', '.join(missing)}")
    for name in names:
        try:
            value[name].encode()
        except UnicodeEncodeError:
            # JSON can escape half a surrogate pair, which is not a character; the original error would hold the value.
            raise SecretMalformed(secret, f"{name} is not Unicode text") from None
    return value


def _require_certificates(pem: str, field: str, secret: str) -> None:
    if not split_certificates(pem):
        raise SecretMalformed(secret, f"{field} holds no PEM certificate")
