"""
The audit reports of certificate authorities: all that a CA has issued and revoked, as an object in S3.

Source: Private CA guide, "Use audit reports with your private CA". A report names subjects and no alternative names.
AWS writes it in a while; the local AWS writes it at once.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.aws import messages
from local.aws.certificates import revocation_lists
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from local.aws.certificates.authority import CertificateAuthority, Issued

_ONE_EVERY = timedelta(minutes=30)
_COLUMNS = (
    "awsAccountId",
    "requestedByServicePrincipal",
    "certificateArn",
    "serial",
    "subject",
    "notBefore",
    "notAfter",
    "issuedAt",
    "revokedAt",
    "revocationReason",
    "templateArn",
)


def create(ca: CertificateAuthority, request: dict[str, Any]) -> dict[str, Any]:
    """
    CreateCertificateAuthorityAuditReport.

    Raises:
        ServiceError: If Private CA may not write into the bucket, or the last report is less than half an hour old.
    """
    bucket, kind = request["S3BucketName"], request["AuditReportResponseFormat"]
    if kind not in {"JSON", "CSV"}:
        raise ServiceError("InvalidArgsException", f"{kind!r} is neither JSON nor CSV")
    revocation_lists.require_bucket(bucket)
    now = datetime.now(UTC)
    last = max((report["CreatedAt"] for report in ca.audit_reports.values()), default=0.0)
    if now - datetime.fromtimestamp(last, UTC) < _ONE_EVERY:
        raise ServiceError("RequestInProgressException", f"{ca.arn} makes one audit report every 30 minutes")
    number = str(uuid.uuid4())
    key = f"audit-report/{ca.arn.rpartition('/')[2]}/{number}.{kind.lower()}"
    rows = [_row(ca, issued) for issued in ca.issued.values() if not ca.progress.has_failed(issued.arn)]
    revocation_lists.put(bucket, key, (_csv(rows) if kind == "CSV" else json.dumps(rows, indent=3)).encode())
    ca.audit_reports[number] = {
        "AuditReportStatus": "SUCCESS",
        "S3BucketName": bucket,
        "S3Key": key,
        "CreatedAt": now.timestamp(),
    }
    messages.emit("aws.acm-pca", "ACM Private CA Audit Report Generation", [ca.arn, number], {"result": "success"})
    return {"AuditReportId": number, "S3Key": key}


def describe(ca: CertificateAuthority, request: dict[str, Any]) -> dict[str, Any]:
    """
    DescribeCertificateAuthorityAuditReport.

    Raises:
        ServiceError: If the CA made no such report.
    """
    number = request["AuditReportId"]
    if number not in ca.audit_reports:
        raise ServiceError("ResourceNotFoundException", f"{ca.arn} made no audit report {number}")
    return ca.audit_reports[number]


def _row(ca: CertificateAuthority, issued: Issued) -> dict[str, str]:
    certificate = issued.certificate
    serial = certificate.serial_number
    revoked = ca.revoked.get(serial)
    values = (
        ca.arn.split(":")[4],
        issued.requested_by,
        issued.arn,
        bytes.fromhex(f"{serial:040x}").lstrip(b"\0").hex(":"),
        certificate.subject.rfc4514_string(),
        _text(certificate.not_valid_before_utc),
        _text(certificate.not_valid_after_utc),
        _text(issued.issued_at),
        _text(revoked) if revoked else "",
        ca.revocation_reasons.get(serial, ""),
        f"arn:aws:acm-pca:::template/{issued.template.name}/V1",
    )
    return {name: value for name, value in zip(_COLUMNS, values, strict=True) if value}


def _csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S+0000}"
