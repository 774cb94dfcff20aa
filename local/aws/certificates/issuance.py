"""IssueCertificate: what it makes of a request, whether through the API or by CloudFormation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509

from local.aws.certificates import x509_signing
from local.aws.certificates.authority import CertificateAuthority, Issued, Terms
from local.aws.certificates.x509_signing import Template
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from local.aws.config import CertificateTimes

_TOKEN_LIFETIME = timedelta(minutes=5)
# API reference, "IssueCertificate": the length constraints of Csr and IdempotencyToken.
_LONGEST = {"Csr": 32_768, "IdempotencyToken": 36}


def issue(ca: CertificateAuthority, request: dict[str, Any], times: CertificateTimes) -> Issued:
    """
    IssueCertificate.

    Args:
        request: Its fields, the PEM of the signing request under ``Csr`` decoded.
        times: How certificates are dated.

    Raises:
        ServiceError: For every reason not to issue.
    """
    for name, longest in _LONGEST.items():
        _require_length(name, request.get(name), longest)
    token, now = request.get("IdempotencyToken"), datetime.now(UTC)
    if token in ca.tokens and now - ca.tokens[token][0] < _TOKEN_LIFETIME:
        return ca.issued[ca.tokens[token][1]]
    issued = ca.issue(_signing_request(request["Csr"]), _terms(request, times))
    if token:
        ca.tokens[token] = (now, issued.arn)
    return issued


def _require_length(name: str, value: str | None, longest: int) -> None:
    if value is not None and not 0 < len(value) <= longest:
        member = name[0].lower() + name[1:]
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length "
            f"less than or equal to {longest} and greater than or equal to 1",
        )


def _signing_request(pem: str) -> x509.CertificateSigningRequest:
    """
    The signing request that ``pem`` holds.

    Raises:
        ServiceError: If it cannot be read, does not sign itself, or has neither a subject nor an alternative name.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        extensions = request.extensions
    except (ValueError, x509.DuplicateExtension) as error:
        raise ServiceError("MalformedCSRException", f"not a PEM signing request: {error}") from error
    if not request.is_signature_valid:
        raise ServiceError("MalformedCSRException", "the signing request's own signature is invalid")
    names = [each.value for each in extensions if isinstance(each.value, x509.SubjectAlternativeName)]
    if not list(request.subject) and not any(map(list, names)):
        raise ServiceError(
            "MalformedCSRException", "the signing request has neither a subject nor a subject alternative name"
        )
    return request


def _terms(request: dict[str, Any], times: CertificateTimes) -> Terms:
    """
    The terms of an IssueCertificate request.

    Raises:
        ServiceError: If the local Private CA does not know the template or the type of the validity's begin.
    """
    try:
        template = Template.from_arn(request.get("TemplateArn") or x509_signing.DEFAULT_TEMPLATE)
    except ValueError as error:
        raise ServiceError("InvalidArgsException", str(error)) from error
    not_before = None
    if given := request.get("ValidityNotBefore"):
        if given["Type"] != "ABSOLUTE":
            raise ServiceError("InvalidArgsException", "ValidityNotBefore must be of type ABSOLUTE")
        not_before = datetime.fromtimestamp(int(given["Value"]), UTC)
    born = times.born_days_ago
    age = timedelta(days=born + 1) if template.for_authority and born else timedelta()
    return Terms(
        template=template,
        validity=request["Validity"],
        issued_at=datetime.now(UTC).replace(microsecond=0) - age,
        back_dating=timedelta(seconds=times.back_dating_s),
        not_before=not_before,
        algorithm=request.get("SigningAlgorithm"),
        api_passthrough=request.get("ApiPassthrough") or {},
    )
