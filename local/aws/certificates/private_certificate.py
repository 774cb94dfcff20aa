"""One private certificate that ACM manages: issued by a private CA, exported, renewed under the same ARN."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from local.aws.certificates import service_linked_role, x509_signing
from local.aws.certificates.authority import Terms
from local.aws.certificates.authority_policies import owner
from local.aws.certificates.x509_signing import PrivateKey, Template
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.certificates.authority import CertificateAuthority
    from local.aws.config import CertificateTimes

KEY_ALGORITHMS = ("RSA_2048", "EC_prime256v1", "EC_secp384r1")
NAMES_QUOTA = 10
_COMMON_NAME_LIMIT = 64
_NAME = re.compile(r"(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])")
_PASSPHRASE = re.compile(rb"[^#$%\x80-\xff]{4,128}", re.DOTALL)
_NEEDED_PERMISSIONS = {"IssueCertificate", "GetCertificate"}

_REASONS = {
    "InvalidArnException": "PCA_INVALID_ARN",
    "ResourceNotFoundException": "PCA_RESOURCE_NOT_FOUND",
    "InvalidStateException": "PCA_INVALID_STATE",
    "ValidationException": "PCA_INVALID_DURATION",
    "AccessDeniedException": "PCA_ACCESS_DENIED",
    "ServiceLinkedRoleNotFound": "SLR_NOT_FOUND",
}


@dataclass
class PrivateCertificate:
    """
    A certificate as ACM keeps it.

    Args:
        arn: Its name; stays the same through renewals.
        domain_name: The first name; becomes the common name.
        names: All DNS names, the first included.
        authority_arn: The CA that signs it.
        key_algorithm: Of the key pair, which every renewal makes anew.
        tags: Its tags, as the API tells them.
        options: Its ``Options``.
        times: How it is dated, and how long a day is for ACM.
        find_authority: The CA that an ARN names; raises ServiceError if there is none, or none for this account.
        status: PENDING_VALIDATION, ISSUED or FAILED; :attr:`current_status` adds EXPIRED.
        exported: Whether it was exported since it was issued or last renewed.
        renewal: ``RenewalStatus`` and, if it is stuck, ``RenewalStatusReason`` of the last renewal.
        attempts: How often ACM has tried the renewal that is pending; 0 if none is.
        attempt_under_way: Whether ACM is trying right now.
        seen_at: Days that were left when ACM's clock last came by.
        action_told_at: Which of its days of warning ACM has used to tell that the renewal fails.
        expiry_told: Whether ACM has announced that it has expired.
        deleted: Whether it is gone; a renewal under way then comes to nothing.
    """

    arn: str
    domain_name: str
    names: tuple[str, ...]
    authority_arn: str
    key_algorithm: str
    tags: list[dict[str, str]]
    options: dict[str, Any]
    times: CertificateTimes
    find_authority: Callable[[str], CertificateAuthority] = field(repr=False)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "PENDING_VALIDATION"
    failure_reason: str | None = None
    certificate: x509.Certificate | None = None
    chain: str = ""
    key: PrivateKey | None = field(default=None, repr=False)
    exported: bool = False
    renewal: dict[str, Any] | None = None
    attempts: int = 0
    attempt_under_way: bool = False
    seen_at: int | None = None
    action_told_at: int | None = None
    expiry_told: bool = False
    deleted: bool = False

    @property
    def current_status(self) -> str:
        """Its status now."""
        if self.status == "ISSUED" and self.remaining <= timedelta():
            return "EXPIRED"
        return self.status

    @property
    def remaining(self) -> timedelta:
        """The time until it expires; negative once it has, zero before it is issued."""
        return self.certificate.not_valid_after_utc - datetime.now(UTC) if self.certificate else timedelta()

    @property
    def days_left(self) -> int:
        """Whole days until it expires, in days of ACM's; 0 once it has."""
        return max(int(self.remaining.total_seconds() // self.times.day_s), 0)

    @property
    def pending(self) -> bool:
        """True while ACM is renewing it or will try again tomorrow."""
        return self.attempts > 0

    @property
    def stuck_because(self) -> str | None:
        """The reason why ACM's last try to renew it failed; None if it did not."""
        reason: str | None = (self.renewal or {}).get("RenewalStatusReason")
        return reason

    @property
    def renewable(self) -> bool:
        """True if RenewCertificate and managed renewal take it."""
        return self.exported and self.current_status == "ISSUED"

    def issue(self, age: timedelta = timedelta()) -> None:
        """
        Get a new key pair and a new certificate from the CA, dated ``age`` back. Slow for RSA.

        Raises:
            ServiceError: If the CA does not issue; nothing has changed then.
        """
        ca = self.find_authority(self.authority_arn)
        self._require_issuer(ca)
        key = x509_signing.new_private_key(self.key_algorithm)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.domain_name)])
        request = x509_signing.signing_request(subject, key, "SHA256", self.names)
        issued_at = datetime.now(UTC).replace(microsecond=0) - age
        end = issued_at + timedelta(seconds=self.times.leaf_lifetime_s)
        terms = Terms(
            template=Template.from_arn(x509_signing.DEFAULT_TEMPLATE),
            validity={"Type": "ABSOLUTE", "Value": int(end.timestamp())},
            issued_at=issued_at,
            back_dating=timedelta(seconds=self.times.back_dating_s),
            requested_by="acm.amazonaws.com",
        )
        issued = ca.issue(request, terms)
        self.key, self.certificate, self.chain = key, issued.certificate, issued.chain
        self.status, self.failure_reason, self.exported = "ISSUED", None, False
        self.attempts = 0
        self.seen_at, self.action_told_at, self.expiry_told = None, None, False

    def require_permission(self) -> None:
        """
        Make sure that ACM itself may use the CA, as a renewal needs.

        A CA of the same account has a permission for ACM. One of another account is used in ACM's service-linked role,
        and its permission does nothing.

        Raises:
            ServiceError: AccessDeniedException if the CA has no permission for acm.amazonaws.com or is not shared;
                ServiceLinkedRoleNotFound if there is no such role in this account.
        """
        account = owner(self.arn)
        if owner(self.authority_arn) != account:
            if not service_linked_role.exists(account):
                raise ServiceError(
                    "ServiceLinkedRoleNotFound", f"account {account} has no {service_linked_role.arn_of(account)}"
                )
            self.find_authority(self.authority_arn)
            return
        granted = self.find_authority(self.authority_arn).permissions.get("acm.amazonaws.com", {})
        if not set(granted.get("Actions", ())) >= _NEEDED_PERMISSIONS:
            raise ServiceError("AccessDeniedException", f"acm.amazonaws.com has no permission on {self.authority_arn}")

    def encrypted_key(self, passphrase: bytes) -> str:
        """
        The private key as encrypted PKCS#8 PEM (PBES2, PBKDF2, AES-256-CBC), with fresh salt each time.

        Raises:
            ServiceError: If the passphrase is not 4 to 128 ASCII characters without ``#``, ``$`` and ``%``.
        """
        if not _PASSPHRASE.fullmatch(passphrase):
            raise ServiceError(
                "ValidationException", "the passphrase must be 4 to 128 ASCII characters without #, $ or %"
            )
        if self.key is None:
            raise ServiceError("RequestInProgressException", f"certificate {self.arn} is not issued yet")
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase),
        ).decode()

    def _require_issuer(self, ca: CertificateAuthority) -> None:
        if ca.usage_mode != "GENERAL_PURPOSE":
            raise ServiceError("InvalidArgsException", f"ACM cannot issue from {ca.arn}: it is a short-lived CA")
        signing, wanted = ca.configuration["KeyAlgorithm"], self.key_algorithm
        if x509_signing.family(signing) != x509_signing.family(wanted):
            raise ServiceError("InvalidArgsException", f"{ca.arn} has a {signing} key and cannot sign {wanted}")


def check_request(domain_name: str, names: tuple[str, ...], key_algorithm: str) -> None:
    """
    The limits that ACM puts on a request for a private certificate.

    Raises:
        ServiceError: If a name is not a DNS name with a dot, the first is too long for a common name, there are more
            names than the quota allows, or the key algorithm is only for imports.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ServiceError(
                "ValidationException",
                f"1 validation error detected: Value '{name}' failed to satisfy constraint: Member must satisfy "
                f"regular expression pattern: {_NAME.pattern}",
            )
    if len(domain_name) > _COMMON_NAME_LIMIT:
        raise ServiceError("InvalidParameterException", f"{domain_name!r} is longer than the 64 of a common name")
    if len(names) > NAMES_QUOTA:
        raise ServiceError("LimitExceededException", f"{len(names)} names are more than the quota of {NAMES_QUOTA}")
    if key_algorithm not in KEY_ALGORITHMS:
        raise ServiceError("ValidationException", f"ACM requests no {key_algorithm} keys, only {KEY_ALGORITHMS}")


def failure_reason(error: ServiceError) -> str:
    """ACM's ``FailureReason`` for what Private CA answered."""
    return _REASONS.get(error.code, "PCA_INVALID_ARGS")
