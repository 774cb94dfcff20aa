"""The private certificate authorities of one account, and what Private CA and CloudFormation do with one of them."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from ministack.core import responses

from local.aws.certificates import revocation_lists, x509_signing
from local.aws.certificates.authority import CertificateAuthority
from local.aws.certificates.life_scale import LifeScale
from local.aws.certificates.progress import Progress
from local.aws.json_service import ServiceError

_ARN = re.compile(r"arn:aws[\w-]*:acm-pca:[\w-]+:\d{12}:certificate-authority/[\w-]+(/certificate/[0-9a-f]+)?")
_PERMITTED_ACTIONS = {"IssueCertificate", "GetCertificate", "ListPermissions"}


class Authorities:
    """
    The certificate authorities of one account.

    Args:
        life_scale: The factor of the lives of end entities' certificates; :attr:`lives` may change it.

    Attributes:
        progress: What they are making.
        lives: How long it lives.
    """

    def __init__(self, life_scale: float = 1.0) -> None:
        self.progress = Progress()
        self.lives = LifeScale(life_scale)
        self._authorities: dict[str, CertificateAuthority] = {}

    def all(self) -> list[CertificateAuthority]:
        """The authorities of every region, in the order they were made."""
        return list(self._authorities.values())

    def in_region(self) -> list[CertificateAuthority]:
        """The authorities of the region in force, in the order they were made."""
        scope = f":acm-pca:{responses.get_region()}:"
        return [ca for ca in self._authorities.values() if scope in ca.arn]

    def find(self, arn: str) -> CertificateAuthority:
        """
        The authority ``arn`` names, in whatever state.

        Raises:
            ServiceError: If the ARN is malformed or names none.
        """
        if not _ARN.fullmatch(arn):
            raise ServiceError("InvalidArnException", f"{arn!r} is not the ARN of a certificate authority")
        if arn not in self._authorities:
            raise ServiceError("ResourceNotFoundException", f"Could not find Certificate Authority {arn}")
        return self._authorities[arn]

    def create(self, request: dict[str, Any]) -> CertificateAuthority:
        """
        CreateCertificateAuthority: makes the key and the signing request; slow for RSA.

        Raises:
            ServiceError: If the key or signing algorithm is unknown, or revocation lists could not be written.
        """
        configuration = request["CertificateAuthorityConfiguration"]
        key_algorithm, signing = configuration["KeyAlgorithm"], configuration["SigningAlgorithm"]
        if key_algorithm not in x509_signing.KEY_ALGORITHMS:
            raise ServiceError("InvalidArgsException", f"the local Private CA makes no {key_algorithm} keys")
        if x509_signing.family(key_algorithm) != x509_signing.family(signing):
            raise ServiceError("InvalidArgsException", f"{signing} does not sign with a {key_algorithm} key")
        revocation_lists.require_writable(request.get("RevocationConfiguration") or {})
        key = x509_signing.new_private_key(key_algorithm)
        subject = x509_signing.distinguished_name(configuration.get("Subject") or {})
        place = f"arn:aws:acm-pca:{responses.get_region()}:{responses.get_account_id()}"
        ca = CertificateAuthority(
            arn=f"{place}:certificate-authority/{uuid.uuid4()}",
            kind=request["CertificateAuthorityType"],
            usage_mode=request.get("UsageMode") or "GENERAL_PURPOSE",
            configuration=configuration,
            key=key,
            request=x509_signing.signing_request(subject, key, signing),
            progress=self.progress,
            lives=self.lives,
            revocation=request.get("RevocationConfiguration") or {},
            key_storage=request.get("KeyStorageSecurityStandard") or "FIPS_140_2_LEVEL_3_OR_HIGHER",
            tags=tag_map(request.get("Tags")),
        )
        self._authorities[ca.arn] = ca
        return ca


def revoke_by(ca: CertificateAuthority, revocation: dict[str, Any]) -> None:
    """
    Have an authority make revocation lists from now on, or no more.

    Raises:
        ServiceError: If they could not be written.
    """
    revocation_lists.require_writable(revocation)
    ca.revocation = revocation
    revocation_lists.write(ca)


def permit(ca: CertificateAuthority, request: dict[str, Any]) -> None:
    """
    CreatePermission.

    Raises:
        ServiceError: If it is for another service than ACM, or there is one already.
    """
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


def forbid(ca: CertificateAuthority, request: dict[str, Any]) -> None:
    """DeletePermission; deleting what is not there changes nothing."""
    ca.permissions.pop(request["Principal"], None)


def delete(ca: CertificateAuthority, days: int = 30) -> None:
    """
    DeleteCertificateAuthority.

    Args:
        ca: A CA that is not active.
        days: How long it can be restored.

    Raises:
        ServiceError: If it is active or deleted.
    """
    if ca.state in {"ACTIVE", "DELETED"}:
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.state}; only a disabled CA can be deleted")
    ca.change_state("DELETED")
    ca.restorable_until = ca.state_changed_at + timedelta(days=days)


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
