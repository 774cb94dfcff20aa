"""How ACM renews private certificates, on request and by itself, and the events it sends about them."""

from __future__ import annotations

import contextvars
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.aws import events
from local.aws.json_service import ServiceError
from local.aws.private_certificate import PrivateCertificate, failure_reason

if TYPE_CHECKING:
    from local.aws.config import CertificateTimes

logger = logging.getLogger(__name__)


def day(certificates: list[PrivateCertificate], times: CertificateTimes) -> dict[str, list[str]]:
    """
    What ACM does once a day: renew exported certificates that are due, warn of the others, announce the expired.

    Returns:
        The ARNs under ``renewing``, ``approaching``, ``action_required`` and ``expired``.
    """
    done: dict[str, list[str]] = {"renewing": [], "approaching": [], "action_required": [], "expired": []}
    warning = timedelta(seconds=times.warning_s)
    for certificate in certificates:
        if certificate.status != "ISSUED":
            continue
        if certificate.current_status == "EXPIRED":
            done["expired"].append(certificate.arn)
            _emit("ACM Certificate Expired", certificate, _facts(certificate))
            continue
        close = certificate.remaining <= warning
        if certificate.exported and certificate.remaining <= timedelta(seconds=times.managed_renewal_s):
            stuck = (certificate.renewal or {}).get("RenewalStatusReason")
            start(certificate, times)
            done["renewing"].append(certificate.arn)
            if stuck and close:
                done["action_required"].append(certificate.arn)
                detail = {"RenewalStatusReason": stuck, **_facts(certificate)}
                _emit("ACM Certificate Renewal Action Required", certificate, detail)
        if close:
            done["approaching"].append(certificate.arn)
            days = max(certificate.remaining.days, 0)
            _emit("ACM Certificate Approaching Expiration", certificate, {"DaysToExpiry": days})
    return done


def start(certificate: PrivateCertificate, times: CertificateTimes) -> None:
    """Renew in a while; until then, and for ever if the CA refuses, the renewal is PENDING_AUTO_RENEWAL."""
    if certificate.renewal_under_way:
        return
    certificate.renewal_under_way = True
    _note(certificate, "PENDING_AUTO_RENEWAL")
    context = contextvars.copy_context()
    timer = threading.Timer(times.renewal_takes_s, context.run, (_finish, certificate, times))
    timer.daemon = True
    timer.start()


def announce(certificate: PrivateCertificate, action: str, *, exported: bool = False) -> None:
    """
    Send ``ACM Certificate Available``.

    Args:
        certificate: The certificate that is available.
        action: ``ISSUANCE`` or ``RENEWAL``.
        exported: Whether the certificate before it was exported.
    """
    detail = {"Action": action, "Exported": exported, **_facts(certificate)}
    _emit("ACM Certificate Available", certificate, detail)


def _finish(certificate: PrivateCertificate, times: CertificateTimes) -> None:
    if certificate.deleted:
        return
    exported = certificate.exported
    try:
        certificate.require_permission()
        certificate.issue(times)
    except ServiceError as error:
        logger.warning("renewal of %s: %s", certificate.arn, error)
        _note(certificate, "PENDING_AUTO_RENEWAL", failure_reason(error))
        certificate.renewal_under_way = False
        return
    _note(certificate, "SUCCESS")
    certificate.renewal_under_way = False
    announce(certificate, "RENEWAL", exported=exported)


def _note(certificate: PrivateCertificate, status: str, reason: str | None = None) -> None:
    certificate.renewal = {
        "RenewalStatus": status,
        "DomainValidationOptions": [],
        "UpdatedAt": datetime.now(UTC).timestamp(),
        **({"RenewalStatusReason": reason} if reason else {}),
    }


def _facts(certificate: PrivateCertificate) -> dict[str, Any]:
    end = certificate.certificate.not_valid_after_utc if certificate.certificate else certificate.created_at
    return {
        "CertificateType": "PRIVATE",
        "CertificateCreatedDate": f"{certificate.created_at:%FT%TZ}",
        "CertificateExpirationDate": f"{end:%FT%TZ}",
        "DaysToExpiry": max(certificate.remaining.days, 0),
        "InUse": False,
    }


def _emit(detail_type: str, certificate: PrivateCertificate, detail: dict[str, Any]) -> None:
    events.emit("aws.acm", detail_type, [certificate.arn], {"CommonName": certificate.domain_name, **detail})
