"""
The JSON inside a secret, schema 1.

The field names are those of ACM's ExportCertificate answer. The passphrase is stored as it is, not in base64. A trust
bundle's secret holds certificates only.
"""

from __future__ import annotations

import json
import re
from typing import Any

from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.errors import SecretMalformed, SecretNotPublished
from meshcert.material import (
    LIST_LOCATION,
    EncryptedPrivateKey,
    ListSource,
    Material,
    Passphrase,
    TrustBundle,
    join_certificates,
)
from meshcert.material.pem import CERTIFICATE, ENCRYPTED_PRIVATE_KEY, blocks, sole_block

SCHEMA = 1

# Written out, and never to change: CloudFormation would publish another text over every identity's material.
PLACEHOLDER = '{"Schema": 1, "Placeholder": "Written by the template; the export function replaces it."}'
"""The value with which the template creates a secret. A changed text would make CloudFormation write a new version."""

LONGEST_SECRET = 65_536
"""Bytes of a secret's value (Secrets Manager quotas)."""
_LONGEST_PASSPHRASE = 128
"""ACM's longest (acm:ExportCertificate)."""
_MOST_ISSUERS, _MOST_ROOTS = 16, 100
"""Certificates in a chain and in a trust bundle: hierarchies of Private CA have five levels."""

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
        The material, complete but unchecked. Its PEM blocks are what was in the fields, and nothing else.

    Raises:
        SecretNotPublished: If it is the template's placeholder.
        SecretMalformed: If it is not JSON, has another schema, or lacks a field; or if a field is not text or not PEM
            of its kind.
    """
    fields = _fields(text, secret, ("Certificate", "CertificateChain", "PrivateKey", "Passphrase"))
    if len(fields["Passphrase"]) > _LONGEST_PASSPHRASE:
        raise SecretMalformed(secret, f"Passphrase is longer than {_LONGEST_PASSPHRASE} characters")
    return Material(
        certificate=_block(fields, "Certificate", CERTIFICATE, secret),
        certificate_chain=_certificates(fields, "CertificateChain", _MOST_ISSUERS, secret),
        private_key=EncryptedPrivateKey(_block(fields, "PrivateKey", ENCRYPTED_PRIVATE_KEY, secret)),
        passphrase=Passphrase(fields["Passphrase"]),
    )


def write_trust_bundle(bundle: TrustBundle) -> str:
    """The value of a trust bundle's secret; without revocation lists, it has no field for them."""
    lists = [
        ({"Url": each.url} if each.url else {"Bucket": each.bucket, "Key": each.key}) | {"Authority": each.authority}
        for each in bundle.lists
    ]
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
    roots = _certificates(fields, "TrustBundle", _MOST_ROOTS, secret)
    return TrustBundle(roots, _list_sources(fields.get("RevocationLists", []), secret))


def _list_sources(value: object, secret: str) -> tuple[ListSource, ...]:
    try:
        sources = tuple(
            _list_source(each, sole_block(each["Authority"], CERTIFICATE))
            for each in value  # type: ignore[attr-defined]  # see below
        )
        if all(_is_plain(source) for source in sources):
            return sources
    except (AttributeError, KeyError, TypeError, ValueError):
        # The value does not have the shape that :func:`write_trust_bundle` writes.
        pass
    raise SecretMalformed(secret, "RevocationLists is no list of Bucket, Key and Authority, or Url and Authority")


def _list_source(said: dict[str, str], authority: str) -> ListSource:
    if "Url" in said:
        return ListSource.at(said["Url"], authority)
    return ListSource(said["Bucket"], said["Key"], authority)


def _is_plain(source: ListSource) -> bool:
    if source.url:
        return re.fullmatch(LIST_LOCATION, source.url) is not None
    return _PLAIN.fullmatch(source.bucket) is not None and _PLAIN.fullmatch(source.key) is not None


def read_fields(text: str, secret: str) -> dict[str, Any]:
    """
    All fields of a secret's value, unchecked but for its schema.

    Args:
        text: The secret's value.
        secret: Its name or ARN, for messages.

    Raises:
        SecretNotPublished: If it is the template's placeholder.
        SecretMalformed: If it is too long, no JSON object, or of another schema.
    """
    if len(text) > LONGEST_SECRET:
        raise SecretMalformed(secret, f"it is longer than {LONGEST_SECRET} bytes, which no secret can be")
    try:
        value = read_json(text)
    except JsonInvalid as error:
        raise SecretMalformed(secret, str(error)) from None
    if not isinstance(value, dict):
        raise SecretMalformed(secret, "it is JSON, but no object")
    if "Placeholder" in value:
        raise SecretNotPublished(secret)
    if value.get("Schema") != SCHEMA:
        raise SecretMalformed(secret, f"its Schema is not {SCHEMA}: this version of meshcert cannot read it")
    return value


def _fields(text: str, secret: str, names: tuple[str, ...]) -> dict[str, Any]:
    """All fields of a value; those in ``names`` have been checked to be text."""
    value = read_fields(text, secret)
    missing = [name for name in names if not isinstance(value.get(name), str) or not value[name]]
    if missing:
        raise SecretMalformed(secret, f"missing or empty: {', '.join(missing)}")
    return value


def _block(fields: dict[str, Any], field: str, kind: str, secret: str) -> str:
    try:
        return sole_block(fields[field], kind)
    except ValueError as error:
        raise SecretMalformed(secret, f"{field}: {error}") from None


def _certificates(fields: dict[str, Any], field: str, most: int, secret: str) -> str:
    try:
        found = blocks(fields[field], CERTIFICATE)
    except ValueError as error:
        raise SecretMalformed(secret, f"{field}: {error}") from None
    if not 0 < len(found) <= most:
        raise SecretMalformed(secret, f"{field} holds {len(found) or 'no'} PEM certificates; 1 to {most} are read")
    return join_certificates(found)
