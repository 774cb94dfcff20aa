"""
How ACM renews private certificates, on request and by itself, and what it does every day.

Sources: ACM user guide, "Managed certificate renewal", "Check a certificate's renewal status" and "Amazon EventBridge
support for ACM". A renewal without permission on the CA stays PENDING_AUTO_RENEWAL, as the acceptance tests of
HashiCorp's AWS provider have seen it.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ministack.core import responses

from local.aws import control
from local.aws.certificates import certificate_events
from local.aws.certificates.private_certificate import failure_reason
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.certificates.private_certificate import PrivateCertificate
    from local.aws.certificates.private_certificates import PrivateCertificates
    from local.aws.config import Config
    from local.aws.per_account import PerAccount

logger = logging.getLogger(__name__)

Done = dict[str, list[str]]

# Days before expiry on which ACM tells that its renewal has failed.
_ACTION_REQUIRED_DAYS = (1, 3, 15, 30, 45)
# A renewal that is stuck ends after 72 hours.
_STUCK_DAYS = 3

_running = threading.Lock()
_not_held = threading.Event()
"""Clear while renewals are held back: those that are due, or asked for, stay pending."""
_not_held.set()


def hold(request: Mapping[str, Any]) -> dict[str, bool]:
    """
    Hold renewals back, or let them go on: ACM takes minutes to days, and says nobody how many.

    A test may so look at a state that a fresh certificate would otherwise end while it looks.

    Args:
        request: ``held``: true or false; without it, nothing is changed.

    Returns:
        Whether they are held back now.
    """
    if "held" in request:
        (_not_held.clear if request["held"] else release)()
    return {"held": not _not_held.is_set()}


def release() -> None:
    """Let renewals go on."""
    _not_held.set()


def live_by_the_clock(config: Config, certificates: PerAccount[PrivateCertificates]) -> None:
    """Run :func:`day` for every account each ``acm_day_s`` seconds until the end; not at all if that is 0."""
    every_s, ending = config.certificates.acm_day_s, threading.Event()
    if every_s <= 0:
        return

    def live() -> None:
        while not ending.wait(every_s):
            for account_id, of_account in certificates.items():
                with responses.request_scope(account_id, config.region):
                    try:
                        day(of_account.all(), once_a_day=True)
                    except Exception:
                        logger.exception("ACM's day in account %s failed", account_id)

    threading.Thread(target=live, daemon=True, name="acm-days").start()
    control.at_stop(ending.set)


def day(certificates: list[PrivateCertificate], *, once_a_day: bool = False) -> Done:
    """
    What ACM does once a day: renew what is due or still pending, warn of the rest, announce what has expired.

    Args:
        certificates: All private certificates of one account.
        once_a_day: Pass over certificates whose day it already was, because the runs come by a clock of their own.
            Otherwise each run counts as a day.

    Returns:
        The ARNs under ``renewing``, ``approaching``, ``action_required`` and ``expired``.
    """
    done: Done = {"renewing": [], "approaching": [], "action_required": [], "expired": []}
    with _running:
        for certificate in certificates:
            if certificate.current_status == "EXPIRED":
                _expire(certificate, done)
                continue
            # Read once: while a day of milliseconds is told, the next one may begin.
            days_left = certificate.days_left
            if certificate.status == "ISSUED" and not (once_a_day and certificate.seen_at == days_left):
                certificate.seen_at = days_left
                _renew_if_due(certificate, days_left, done)
                _warn_if_close(certificate, days_left, done)
    return done


def start(certificate: PrivateCertificate) -> None:
    """Renew in a while; until then, and as long as the CA refuses, the renewal is PENDING_AUTO_RENEWAL."""
    if certificate.attempt_under_way:
        return
    certificate.attempt_under_way = True
    certificate.attempts += 1
    if certificate.stuck_because is None:
        _note(certificate, "PENDING_AUTO_RENEWAL")
    context = contextvars.copy_context()
    timer = threading.Timer(certificate.times.renewal_takes_s, context.run, (_attempt, certificate))
    timer.daemon = True
    timer.start()


def _expire(certificate: PrivateCertificate, done: Done) -> None:
    if certificate.expiry_told:
        return
    certificate.expiry_told = True
    done["expired"].append(certificate.arn)
    certificate_events.expired(certificate)


def _renew_if_due(certificate: PrivateCertificate, days_left: int, done: Done) -> None:
    due = certificate.exported and certificate.remaining <= timedelta(seconds=certificate.times.managed_renewal_s)
    if certificate.attempts >= _STUCK_DAYS and not certificate.attempt_under_way and not due:
        certificate.attempts = 0
    elif due or certificate.pending:
        start(certificate)
        done["renewing"].append(certificate.arn)
    passed = next((days for days in _ACTION_REQUIRED_DAYS if days_left <= days), None)
    if due and certificate.stuck_because and passed is not None and passed != certificate.action_told_at:
        certificate.action_told_at = passed
        done["action_required"].append(certificate.arn)
        certificate_events.action_required(certificate, certificate.stuck_because, days_left)


def _warn_if_close(certificate: PrivateCertificate, days_left: int, done: Done) -> None:
    if certificate.remaining <= timedelta(seconds=certificate.times.warning_s):
        done["approaching"].append(certificate.arn)
        certificate_events.approaching(certificate, days_left)


def _attempt(certificate: PrivateCertificate) -> None:
    _not_held.wait()
    if certificate.deleted:
        return
    exported = certificate.exported
    try:
        certificate.require_permission()
        certificate.issue()
    except ServiceError as error:
        logger.warning("renewal of %s: %s", certificate.arn, error)
        _note(certificate, "PENDING_AUTO_RENEWAL", failure_reason(error))
        certificate.attempt_under_way = False
        return
    _note(certificate, "SUCCESS")
    certificate.attempt_under_way = False
    certificate_events.available(certificate, "RENEWAL", exported=exported)


def _note(certificate: PrivateCertificate, status: str, reason: str | None = None) -> None:
    certificate.renewal = {
        "RenewalStatus": status,
        "DomainValidationOptions": [],
        "UpdatedAt": datetime.now(UTC).timestamp(),
        **({"RenewalStatusReason": reason} if reason else {}),
    }
