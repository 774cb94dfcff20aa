"""All private certificate authorities, and what the operations of Private CA and of CloudFormation do with them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from ministack.core import responses

from local.aws.certificates import revocation_lists, x509_signing
from local.aws.certificates.authority import CertificateAuthority, Issued, Terms
from local.aws.certificates.x509_signing import Template
from local.aws.config import CertificateTimes
from local.aws.json_service import ServiceError

_ARN = re.compile(r"arn:aws[\w-]*:acm-pca:[\w-]+:\d{12}:certificate-authority/[\w-]+(/certificate/[0-9a-f]+)?")
_PERMITTED_ACTIONS = {"IssueCertificate", "GetCertificate", "ListPermissions"}
_TOKEN_LIFETIME = timedelta(minutes=5)


@dataclass
class _Settings:
    """What the configuration says, once it is installed."""

    times: CertificateTimes = field(default_factory=CertificateTimes)


_authorities: dict[str, CertificateAuthority] = {}
_settings = _Settings()


def configure(times: CertificateTimes) -> None:
    """Date certificates as ``times`` says from now on."""
    _settings.times = times


def forget_all() -> None:
    """Lose every authority, as a reset does."""
    _authorities.clear()


def here() -> list[CertificateAuthority]:
    """The authorities of the current account and region."""
    scope = f":{responses.get_region()}:{responses.get_account_id()}:"
    return [ca for ca in _authorities.values() if scope in ca.arn]


def authority(arn: str) -> CertificateAuthority:
    """
    The certificate authority ``arn`` names, in whatever state.

    Raises:
        ServiceError: If the ARN is malformed or names none.
    """
    if not _ARN.fullmatch(arn):
        raise ServiceError("InvalidArnException", f"{arn!r} is not the ARN of a certificate authority")
    if arn not in _authorities:
        raise ServiceError("ResourceNotFoundException", f"Could not find Certificate Authority {arn}")
    return _authorities[arn]


def terms(request: dict[str, Any]) -> Terms:
    """
    The terms of an IssueCertificate request; certificates of CAs are dated as far back as the configuration says.

    Raises:
        ServiceError: If the template or the validity's begin is none that the local Private CA knows.
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
    born = _settings.times.born_days_ago
    age = timedelta(days=born + 1) if template.for_authority and born else timedelta()
    return Terms(
        template=template,
        validity=request["Validity"],
        issued_at=datetime.now(UTC).replace(microsecond=0) - age,
        back_dating=timedelta(seconds=_settings.times.back_dating_s),
        not_before=not_before,
        algorithm=request.get("SigningAlgorithm"),
    )


def create(request: dict[str, Any]) -> dict[str, Any]:
    """CreateCertificateAuthority: makes the key and the signing request; slow for RSA."""
    configuration = request["CertificateAuthorityConfiguration"]
    key_algorithm, signing = configuration["KeyAlgorithm"], configuration["SigningAlgorithm"]
    if key_algorithm not in x509_signing.KEY_ALGORITHMS:
        raise ServiceError("InvalidArgsException", f"the local Private CA makes no {key_algorithm} keys")
    if x509_signing.family(key_algorithm) != x509_signing.family(signing):
        raise ServiceError("InvalidArgsException", f"{signing} does not sign with a {key_algorithm} key")
    revocation_lists.require_writable(request.get("RevocationConfiguration") or {})
    key = x509_signing.new_private_key(key_algorithm)
    subject = x509_signing.distinguished_name(configuration.get("Subject") or {})
    arn = f"arn:aws:acm-pca:{responses.get_region()}:{responses.get_account_id()}:certificate-authority/{uuid.uuid4()}"
    _authorities[arn] = CertificateAuthority(
        arn=arn,
        kind=request["CertificateAuthorityType"],
        usage_mode=request.get("UsageMode") or "GENERAL_PURPOSE",
        configuration=configuration,
        key=key,
        request=x509_signing.signing_request(subject, key, signing),
        revocation=request.get("RevocationConfiguration") or {},
        key_storage=request.get("KeyStorageSecurityStandard") or "FIPS_140_2_LEVEL_3_OR_HIGHER",
        tags=tag_map(request.get("Tags")),
    )
    return {"CertificateAuthorityArn": arn}


def issue(request: dict[str, Any]) -> Issued:
    """
    IssueCertificate with the request's PEM under ``Csr``, decoded.

    Raises:
        ServiceError: For every reason not to issue.
    """
    ca = authority(request["CertificateAuthorityArn"])
    token, now = request.get("IdempotencyToken"), datetime.now(UTC)
    if token in ca.tokens and now - ca.tokens[token][0] < _TOKEN_LIFETIME:
        return ca.issued[ca.tokens[token][1]]
    try:
        signing_request = x509.load_pem_x509_csr(request["Csr"].encode())
    except ValueError as error:
        raise ServiceError("MalformedCSRException", f"not a PEM signing request: {error}") from error
    if not signing_request.is_signature_valid:
        raise ServiceError("MalformedCSRException", "the signing request's own signature is invalid")
    issued = ca.issue(signing_request, terms(request))
    if token:
        ca.tokens[token] = (now, issued.arn)
    return issued


def revoke_by(ca: CertificateAuthority, revocation: dict[str, Any]) -> None:
    """
    Have an authority make revocation lists from now on, or no more.

    Raises:
        ServiceError: If they could not be written.
    """
    revocation_lists.require_writable(revocation)
    ca.revocation = revocation
    revocation_lists.write(ca)


def permit(request: dict[str, Any]) -> dict[str, Any]:
    """CreatePermission."""
    ca = authority(request["CertificateAuthorityArn"])
    principal, actions = request["Principal"], request["Actions"]
    if principal != "acm.amazonaws.com" or not set(actions) <= _PERMITTED_ACTIONS:
        raise ServiceError("InvalidArgsException", f"only acm.amazonaws.com may be given {sorted(_PERMITTED_ACTIONS)}")
    if principal in ca.permissions:
        raise ServiceError("PermissionAlreadyExistsException", f"{principal} already has a permission on {ca.arn}")
    account = ca.arn.split(":")[4]
    ca.permissions[principal] = {
        "CertificateAuthorityArn": ca.arn,
        "CreatedAt": datetime.now(UTC).timestamp(),
        "Principal": principal,
        "SourceAccount": request.get("SourceAccount") or account,
        "Actions": list(actions),
    }
    return {}


def forbid(request: dict[str, Any]) -> dict[str, Any]:
    """DeletePermission; deleting what is not there changes nothing."""
    authority(request["CertificateAuthorityArn"]).permissions.pop(request["Principal"], None)
    return {}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    """DeleteCertificateAuthority: restorable for a while, as on AWS."""
    ca = authority(request["CertificateAuthorityArn"])
    if ca.state in {"ACTIVE", "DELETED"}:
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.state}; only a disabled CA can be deleted")
    days = int(request.get("PermanentDeletionTimeInDays") or 30)
    ca.change_state("DELETED")
    ca.restorable_until = ca.state_changed_at + timedelta(days=days)
    return {}


def describe(ca: CertificateAuthority) -> dict[str, Any]:
    """The ``CertificateAuthority`` structure of Describe and List."""
    disabled = {"CrlConfiguration": {"Enabled": False}, "OcspConfiguration": {"Enabled": False}}
    fields: dict[str, Any] = {
        "Arn": ca.arn,
        "OwnerAccount": ca.arn.split(":")[4],
        "CreatedAt": ca.created_at.timestamp(),
        "LastStateChangeAt": ca.state_changed_at.timestamp(),
        "Type": ca.kind,
        "Status": ca.status,
        "CertificateAuthorityConfiguration": ca.configuration,
        "RevocationConfiguration": {**disabled, **ca.revocation},
        "KeyStorageSecurityStandard": ca.key_storage,
        "UsageMode": ca.usage_mode,
    }
    if ca.certificate:
        fields |= {
            "Serial": x509_signing.serial_text(ca.certificate),
            "NotBefore": ca.certificate.not_valid_before_utc.timestamp(),
            "NotAfter": ca.certificate.not_valid_after_utc.timestamp(),
        }
    if ca.restorable_until:
        fields["RestorableUntil"] = ca.restorable_until.timestamp()
    return fields


def tag_map(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """The tags of a request by key."""
    return {tag["Key"]: tag.get("Value", "") for tag in tags or []}
