"""Private certificates in ACM, on top of MiniStack's own ``acm``, which keeps answering for public ones."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.services import acm as public_acm

from local.aws import control, hooks, json_service
from local.aws.certificates import acm_shapes, certificate_events, managed_renewal
from local.aws.certificates.private_certificate import PrivateCertificate, check_request, failure_reason
from local.aws.certificates.x509_signing import pem
from local.aws.config import CertificateTimes
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

    from local.aws.config import Config

logger = logging.getLogger(__name__)

_TOKEN_LIFETIME = timedelta(hours=1)
_LISTED_BY_DEFAULT = ("RSA_1024", "RSA_2048")


@dataclass
class _Settings:
    """What the configuration says, once it is installed."""

    times: CertificateTimes = field(default_factory=CertificateTimes)


_certificates: dict[str, PrivateCertificate] = {}
_tokens: dict[str, tuple[datetime, str]] = {}
_settings = _Settings()


def install(config: Config) -> None:
    """Put private certificates in front of MiniStack's service and offer ACM's daily run as a control endpoint."""
    _settings.times = config.certificates
    for name in ("_certificates", "_cert_arn"):
        hooks.require(public_acm, name)
    handlers = hooks.require(gateway, "SERVICE_HANDLERS")
    handlers["acm"] = json_service.handler(
        _OPERATIONS, off_loop=frozenset({"RequestCertificate"}), fallback=handlers["acm"]
    )
    control.route("/_local/acm/day", lambda _: managed_renewal.day(list(_certificates.values()), _settings.times))
    control.at_reset(_forget_all)
    managed_renewal.live_by_the_clock(config, lambda: list(_certificates.values()))


def request(fields: dict[str, Any]) -> PrivateCertificate:
    """
    RequestCertificate with a private CA. Issues at once; what the CA refuses becomes status FAILED, as on AWS.

    Raises:
        ServiceError: If ACM itself refuses the request.
    """
    names = tuple(dict.fromkeys([fields["DomainName"], *(fields.get("SubjectAlternativeNames") or [])]))
    algorithm = fields.get("KeyAlgorithm") or "RSA_2048"
    check_request(fields["DomainName"], names, algorithm)
    token, now = fields.get("IdempotencyToken"), datetime.now(UTC)
    if token in _tokens and now - _tokens[token][0] < _TOKEN_LIFETIME and _tokens[token][1] in _certificates:
        return _certificates[_tokens[token][1]]
    certificate = PrivateCertificate(
        arn=public_acm._cert_arn(),
        domain_name=fields["DomainName"],
        names=names,
        authority_arn=fields["CertificateAuthorityArn"],
        key_algorithm=algorithm,
    )
    try:
        certificate.issue(_settings.times, timedelta(seconds=_settings.times.born_days_ago * _settings.times.day_s))
    except ServiceError as error:
        if error.code == "InvalidArnException":
            raise
        logger.warning("%s: %s", certificate.arn, error)
        certificate.status, certificate.failure_reason = "FAILED", failure_reason(error)
    _certificates[certificate.arn] = certificate
    public_acm._certificates[certificate.arn] = acm_shapes.record(certificate, fields)
    if token:
        _tokens[token] = (now, certificate.arn)
    if certificate.status == "ISSUED":
        certificate_events.available(certificate, "ISSUANCE")
    return certificate


def delete(arn: str) -> None:
    """Forget the private certificate ``arn``; nothing happens if there is none."""
    certificate = _certificates.pop(arn, None)
    if certificate is not None:
        certificate.deleted = True
        public_acm._certificates.pop(arn, None)


def _forget_all() -> None:
    for certificate in _certificates.values():
        certificate.deleted = True
    _certificates.clear()
    _tokens.clear()


def _find(fields: dict[str, Any]) -> PrivateCertificate | None:
    return _certificates.get(fields.get("CertificateArn", ""))


def _request(fields: dict[str, Any]) -> dict[str, Any] | None:
    if not fields.get("CertificateAuthorityArn"):
        return None
    return {"CertificateArn": request(fields).arn}


def _describe(fields: dict[str, Any]) -> dict[str, Any] | None:
    certificate = _find(fields)
    if certificate is None:
        return None
    options = public_acm._certificates[certificate.arn]["Options"]
    return {"Certificate": acm_shapes.detail(certificate, options)}


def _issued(certificate: PrivateCertificate) -> x509.Certificate:
    if certificate.certificate is None:
        code = "RequestInProgressException" if certificate.status == "PENDING_VALIDATION" else "ValidationException"
        raise ServiceError(code, f"certificate {certificate.arn} is {certificate.current_status}, not issued")
    return certificate.certificate


def _get(fields: dict[str, Any]) -> dict[str, Any] | None:
    certificate = _find(fields)
    if certificate is None:
        return None
    return {"Certificate": pem(_issued(certificate)), "CertificateChain": certificate.chain}


def _export(fields: dict[str, Any]) -> dict[str, Any]:
    certificate = _find(fields)
    if certificate is None:
        arn = fields["CertificateArn"]
        if arn in public_acm._certificates:
            raise ServiceError("ValidationException", f"Certificate ARN: {arn} is not a private certificate")
        raise ServiceError("ResourceNotFoundException", f"Could not find certificate {arn}.")
    leaf = pem(_issued(certificate))
    key = certificate.encrypted_key(base64.b64decode(fields["Passphrase"]))
    certificate.exported = True
    return {"Certificate": leaf, "CertificateChain": certificate.chain, "PrivateKey": key}


def _renew(fields: dict[str, Any]) -> dict[str, Any] | None:
    certificate = _find(fields)
    if certificate is None:
        return None
    if certificate.pending:
        raise ServiceError("RequestInProgressException", f"a renewal of {certificate.arn} is pending")
    if not certificate.exported:
        raise ServiceError(
            "ValidationException",
            f"Certificate ARN {certificate.arn} has not been exported so it is not eligible for the Renew "
            "Certificate API.",
        )
    if not certificate.renewable:
        raise ServiceError("ValidationException", f"certificate {certificate.arn} is {certificate.current_status}")
    managed_renewal.start(certificate, _settings.times)
    return {}


def _delete(fields: dict[str, Any]) -> dict[str, Any] | None:
    if _find(fields) is None:
        return None
    delete(fields["CertificateArn"])
    return {}


def _list(fields: dict[str, Any]) -> dict[str, Any]:
    """ListCertificates, which leaves out EC keys unless they are asked for."""
    key_types = (fields.get("Includes") or {}).get("keyTypes") or _LISTED_BY_DEFAULT
    statuses = fields.get("CertificateStatuses") or []
    summaries = [acm_shapes.summary(record, _certificates.get(arn)) for arn, record in public_acm._certificates.items()]
    chosen = [
        summary
        for summary in summaries
        if summary["KeyAlgorithm"] in key_types and (not statuses or summary["Status"] in statuses)
    ]
    start, size = int(fields.get("NextToken") or 0), int(fields.get("MaxItems") or 1000)
    more = {"NextToken": str(start + size)} if start + size < len(chosen) else {}
    return {"CertificateSummaryList": chosen[start : start + size], **more}


_OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "RequestCertificate": _request,
    "DescribeCertificate": _describe,
    "GetCertificate": _get,
    "ExportCertificate": _export,
    "RenewCertificate": _renew,
    "DeleteCertificate": _delete,
    "ListCertificates": _list,
}
