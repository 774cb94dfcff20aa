"""
The events that ACM sends about a private certificate: its own (``aws.acm``) and AWS Health's (``aws.health``).

Source: ACM user guide, "Amazon EventBridge support for ACM".
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.core import responses

from local.aws import messages

if TYPE_CHECKING:
    from local.aws.certificates.private_certificate import PrivateCertificate

_STATE_CHANGE = "AWS_ACM_RENEWAL_STATE_CHANGE"
_FAILURE = "AWS_ACM_RENEWAL_FAILURE"


def available(certificate: PrivateCertificate, action: str, *, exported: bool = False) -> None:
    """
    Send ``ACM Certificate Available``, and AWS Health's event if it is a renewal.

    Args:
        certificate: The certificate that is available.
        action: ``ISSUANCE`` or ``RENEWAL``.
        exported: Whether the certificate before it was exported.
    """
    facts = _facts(certificate) | {
        "DaysToExpiry": certificate.days_left,
        "CertificateCreatedDate": _created(certificate),
    }
    detail = {"Action": action, "Exported": exported, **facts}
    _emit("ACM Certificate Available", certificate, detail)
    if action == "RENEWAL":
        _emit_health(_STATE_CHANGE, certificate, "has been renewed")


def approaching(certificate: PrivateCertificate, days_left: int) -> None:
    """Send ``ACM Certificate Approaching Expiration``, with the days left at the run of ACM's that sees it."""
    _emit("ACM Certificate Approaching Expiration", certificate, {"DaysToExpiry": days_left})


def action_required(certificate: PrivateCertificate, reason: str, days_left: int) -> None:
    """Send ``ACM Certificate Renewal Action Required`` and AWS Health's event for a private CA that does not issue."""
    facts = _facts(certificate) | {"DaysToExpiry": days_left}
    detail = {"RenewalStatusReason": reason, "Exported": certificate.exported, **facts}
    _emit("ACM Certificate Renewal Action Required", certificate, detail)
    _emit_health(_FAILURE, certificate, f"could not be renewed: {reason}")


def expired(certificate: PrivateCertificate) -> None:
    """Send ``ACM Certificate Expired`` and AWS Health's event."""
    facts = _facts(certificate) | {"CertificateCreatedDate": _created(certificate)}
    _emit("ACM Certificate Expired", certificate, {"Exported": certificate.exported, **facts})
    _emit_health(_STATE_CHANGE, certificate, "has expired")


def _facts(certificate: PrivateCertificate) -> dict[str, Any]:
    end = certificate.certificate.not_valid_after_utc if certificate.certificate else certificate.created_at
    return {
        "CertificateType": "PRIVATE",
        # The user guide's samples have it; what stands there for a private certificate, nobody has confirmed.
        "DomainValidationMethod": "DNS",
        "CertificateExpirationDate": f"{end:%FT%TZ}",
        "InUse": False,
    }


def _created(certificate: PrivateCertificate) -> str:
    return f"{certificate.created_at:%FT%TZ}"


def _emit(detail_type: str, certificate: PrivateCertificate, detail: dict[str, Any]) -> None:
    messages.emit("aws.acm", detail_type, [certificate.arn], {"CommonName": certificate.domain_name, **detail})


def _emit_health(code: str, certificate: PrivateCertificate, what: str) -> None:
    """An AWS Health event; its shape is that of the AWS Health user guide's event schema."""
    region, account = responses.get_region(), responses.get_account_id()
    now = f"{datetime.now(UTC):%a, %d %b %Y %T GMT}"
    number = uuid.uuid4()
    detail = {
        "eventArn": f"arn:aws:health:{region}::event/ACM/{code}/{code}_{number}",
        "service": "ACM",
        "eventTypeCode": code,
        "eventTypeCategory": "scheduledChange",
        "eventScopeCode": "ACCOUNT_SPECIFIC",
        "communicationId": str(number),
        "startTime": now,
        "endTime": now,
        "lastUpdatedTime": now,
        "statusCode": "open",
        "eventRegion": region,
        "eventDescription": [
            {"language": "en_US", "latestDescription": f"The certificate for {certificate.domain_name} {what}."}
        ],
        "affectedEntities": [{"entityValue": certificate.arn, "status": "PENDING", "lastUpdatedTime": now}],
        "affectedAccount": account,
        "page": "1",
        "totalPages": "1",
    }
    messages.emit("aws.health", "AWS Health Event", [certificate.arn], detail)
