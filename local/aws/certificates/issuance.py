"""IssueCertificate: what it makes of a request, whether through the API or by CloudFormation."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509

from local.aws import messages
from local.aws.certificates import x509_signing
from local.aws.certificates.authority import CertificateAuthority, Issued, Terms, Token
from local.aws.certificates.x509_signing import Template
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.certificates.authorities import Authorities
    from local.aws.config import CertificateTimes

# API reference, "IssueCertificate": the length constraints of Csr and IdempotencyToken.
_LONGEST = {"Csr": 32_768, "IdempotencyToken": 36}


def issue(ca: CertificateAuthority, request: dict[str, Any], times: CertificateTimes) -> Issued:
    """
    IssueCertificate; GetCertificate gives the certificate when ``ca.progress`` has it.

    A token that was used not long ago gives the certificate of then, if the request is the same.

    Args:
        request: Its fields, the PEM of the signing request under ``Csr`` decoded.
        times: How certificates are dated, and how long tokens and issuing last.

    Raises:
        ServiceError: For every reason not to issue; for one token with other parameters too.
    """
    for name, longest in _LONGEST.items():
        _require_length(name, request.get(name), longest)
    token, now = request.get("IdempotencyToken"), datetime.now(UTC)
    parameters = {"TemplateArn": x509_signing.DEFAULT_TEMPLATE, **request}
    known = ca.tokens.get(token or "")
    if known is not None and now - known.used_at < timedelta(seconds=times.token_s):
        if known.request != parameters:
            changed = sorted(
                name for name in {*known.request, *parameters} if _differs(name, known.request, parameters)
            )
            raise ServiceError(
                "InvalidArgsException",
                f"the idempotency token {token} was used at {known.used_at:%FT%TZ} with other parameters: {changed}",
            )
        ca.repeated += 1
        return ca.issued[known.answer]
    issued = ca.issue(_signing_request(request["Csr"]), _terms(request, times))
    if token:
        ca.tokens[token] = Token(now, parameters, issued.arn)
    ca.progress.begin(issued.arn, times.issuing_takes_s, functools.partial(_tell, ca.arn, issued.arn))
    return issued


def _tell(authority: str, certificate: str, result: str) -> None:
    """Private CA guide, "Monitoring with EventBridge": the CA, then the certificate."""
    names = [authority, certificate]
    messages.emit("aws.acm-pca", "ACM Private CA Certificate Issuance", names, {"result": result})


def age_tokens(authorities: Authorities, request: Mapping[str, Any]) -> dict[str, int]:
    """
    Let time pass for idempotency tokens alone, so that a test need not wait until they are forgotten.

    Args:
        request: ``older_by_s``: seconds.

    Returns:
        How many there are, under ``tokens``.
    """
    passed, aged = timedelta(seconds=float(request["older_by_s"])), 0
    for ca in authorities.all():
        ca.tokens = {name: replace(token, used_at=token.used_at - passed) for name, token in ca.tokens.items()}
        aged += len(ca.tokens)
    return {"tokens": aged}


def counts(authorities: Authorities) -> dict[str, dict[str, int]]:
    """
    What each CA has issued, by its ARN.

    Returns:
        ``issued``: certificates of end entities that IssueCertificate's callers pay for, each once; ``for_acm``: those
        that ACM asked for; ``authorities``: certificates of CAs; ``failed``: those that came to nothing;
        ``repeated``: answers with one issued before; ``revoked``.
    """
    return {ca.arn: _counts(ca) for ca in authorities.all()}


def _counts(ca: CertificateAuthority) -> dict[str, int]:
    made = [issued for issued in ca.issued.values() if not ca.progress.has_failed(issued.arn)]
    leaves = [issued for issued in made if not issued.template.for_authority]
    for_acm = sum(bool(leaf.requested_by) for leaf in leaves)
    return {
        "issued": len(leaves) - for_acm,
        "for_acm": for_acm,
        "authorities": len(made) - len(leaves),
        "failed": len(ca.issued) - len(made),
        "repeated": ca.repeated,
        "revoked": len(ca.revoked),
    }


def _differs(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(one.get(name) != other.get(name))


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
