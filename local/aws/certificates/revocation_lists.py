"""
The revocation lists that certificate authorities write into S3, with the checks AWS makes before it believes a bucket.

AWS writes a list about half an hour after a revocation, and the first one once a certificate was issued; the local AWS
writes at once, at every activation and revocation.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from ministack.services import s3

from local.aws import hooks, messages
from local.aws.certificates import x509_signing
from local.aws.certificates.x509_signing import Period, Signer
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.certificates.authority import CertificateAuthority

_WRITER = "acm-pca.amazonaws.com"
_NEEDED = {"s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"}
_OWNER = "BUCKET_OWNER_FULL_CONTROL"
# Private CA guide, "CRL structure": it stays in the bucket, so that CloudFormation cannot delete the bucket any more.
_TEST_OBJECT = "acm-pca-permission-test-key"
_GENERATION = "ACM Private CA CRL Generation"
_OK = 200


def require_bucket(name: str) -> None:
    """
    Make sure that a bucket lets Private CA write.

    Raises:
        ServiceError: If it is missing, or its policy does not name the service and all four actions.
    """
    if hooks.require(s3, "_ensure_bucket")(name) is None:
        raise ServiceError("InvalidArgsException", f"The bucket {name} does not exist or cannot be reached")
    policy = hooks.require(s3, "_bucket_policies").get(name) or "{}"
    allowed = {action for statement in _statements(policy) for action in _allowed(statement)}
    if missing := _NEEDED - allowed:
        raise ServiceError("InvalidArgsException", f"the policy of {name} does not let {_WRITER} {sorted(missing)}")


def require_writable(revocation: dict[str, Any]) -> None:
    """
    Make sure that lists can be written as a ``RevocationConfiguration`` says, by writing an object that stays there.

    Raises:
        ServiceError: If the bucket is missing, does not let Private CA write, or takes no public objects while the
            configuration asks for them.
    """
    lists = _enabled(revocation)
    if lists is not None:
        _require_permission(lists)
        put(lists["S3BucketName"], _TEST_OBJECT, b"")


def _require_permission(lists: dict[str, Any]) -> None:
    name = str(lists.get("S3BucketName"))
    require_bucket(name)
    if lists.get("S3ObjectAcl") != _OWNER and s3._get_public_access_block(name)[0] == _OK:
        raise ServiceError("InvalidArgsException", f"{name} blocks public access: set S3ObjectAcl to {_OWNER}")


def write(ca: CertificateAuthority) -> None:
    """
    Write the list of an authority that has a certificate and is told to make lists, and send the event about it.

    A bucket that does not let Private CA write any more fails no call: the list grows old, and only the event tells.
    """
    lists = _enabled(ca.revocation)
    if lists is None or ca.certificate is None:
        return
    try:
        _require_permission(lists)
    except ServiceError:
        reason = "Failed to write CRL to S3. Check your S3 bucket permissions."
        messages.emit("aws.acm-pca", _GENERATION, [ca.arn], {"result": "failure", "reason": reason})
        return
    ca.list_number = max(ca.list_number + 1, int(time.time() * 1000))
    now = datetime.now(UTC).replace(microsecond=0)
    signer = Signer(ca.certificate.subject, ca.key, ca.configuration["SigningAlgorithm"])
    period = Period(now, now + timedelta(days=int(lists["ExpirationInDays"])))
    body = _signed(ca.revoked, signer, period, ca.list_number)
    put(lists["S3BucketName"], f"crl/{ca.arn.rpartition('/')[2]}.crl", body)
    messages.emit("aws.acm-pca", _GENERATION, [ca.arn], {"result": "success"})


def _signed(revoked: Mapping[int, datetime], signer: Signer, period: Period, number: int) -> bytes:
    """
    A complete revocation list, version 2, DER, as Private CA writes it.

    Args:
        revoked: When each serial number was revoked, aware UTC.
        signer: The authority.
        period: From this list to the next.
        number: Grows with each list.
    """
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.name)
        .last_update(period.not_before)
        .next_update(period.not_after)
        .add_extension(authority, critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial, revoked_at in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, x509_signing.signature_hash(signer.algorithm)).public_bytes(Encoding.DER)


def put(bucket: str, key: str, body: bytes) -> None:
    """Write an object, as Private CA does."""
    status, _, answer = hooks.require(s3, "_put_object")(bucket, key, body, {"x-amz-acl": "bucket-owner-full-control"})
    if status != _OK:
        raise RuntimeError(f"{bucket}/{key} could not be written: {answer!r}")


def _enabled(revocation: dict[str, Any]) -> dict[str, Any] | None:
    lists: dict[str, Any] = revocation.get("CrlConfiguration") or {}
    return lists if str(lists.get("Enabled")).lower() == "true" else None


def _statements(policy: str) -> list[dict[str, Any]]:
    statements = json.loads(policy).get("Statement") or []
    return [statements] if isinstance(statements, dict) else statements


def _allowed(statement: dict[str, Any]) -> list[str]:
    principal, actions = statement.get("Principal"), statement.get("Action") or []
    named = principal.get("Service") if isinstance(principal, dict) else None
    services = [named] if isinstance(named, str) else named or []
    if statement.get("Effect") != "Allow" or _WRITER not in services:
        return []
    return [actions] if isinstance(actions, str) else actions
