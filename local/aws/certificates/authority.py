"""One private certificate authority: its key, its certificate, what it issued, and the rules by which it issues."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509

from local.aws.certificates import x509_signing
from local.aws.certificates.x509_signing import Period, PrivateKey, Signer, Template, pem
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT_LIVED_LIMIT = timedelta(days=7)


@dataclass(frozen=True)
class Issued:
    """A certificate that an authority gave out, with its issuers: the issuing CA first, the root last."""

    arn: str
    certificate: x509.Certificate
    chain: str


@dataclass(frozen=True)
class Terms:
    """
    What IssueCertificate's caller chose.

    Args:
        template: The template to fill in.
        validity: Private CA's ``Validity``.
        issued_at: From when the validity counts, aware UTC; the local AWS may date it back.
        back_dating: How far NotBefore lies before ``issued_at``.
        not_before: Set by the caller (``ValidityNotBefore``); overrides the back-dating.
        algorithm: Signing algorithm, or None for the authority's own.
    """

    template: Template
    validity: Mapping[str, Any]
    issued_at: datetime
    back_dating: timedelta
    not_before: datetime | None = None
    algorithm: str | None = None


@dataclass
class CertificateAuthority:
    """
    A private CA as Private CA keeps it.

    Args:
        arn: Its name.
        kind: ``ROOT`` or ``SUBORDINATE``.
        usage_mode: ``GENERAL_PURPOSE`` or ``SHORT_LIVED_CERTIFICATE``.
        configuration: Key algorithm, signing algorithm and subject, as given.
    """

    arn: str
    kind: str
    usage_mode: str
    configuration: dict[str, Any]
    key: PrivateKey
    request: x509.CertificateSigningRequest
    revocation: dict[str, Any] = field(default_factory=dict)
    key_storage: str = "FIPS_140_2_LEVEL_3_OR_HIGHER"
    tags: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: str = "PENDING_CERTIFICATE"
    state_changed_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    restorable_until: datetime | None = None
    certificate: x509.Certificate | None = None
    chain: str = ""
    issued: dict[str, Issued] = field(default_factory=dict)
    tokens: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    permissions: dict[str, dict[str, Any]] = field(default_factory=dict)
    revoked: dict[int, datetime] = field(default_factory=dict)
    list_number: int = 0
    policy: str | None = None

    @property
    def status(self) -> str:
        """Its state, or EXPIRED once an active CA's certificate has run out."""
        if self.state == "ACTIVE" and self.certificate and self.certificate.not_valid_after_utc <= datetime.now(UTC):
            return "EXPIRED"
        return self.state

    def change_state(self, state: str) -> None:
        """Enter ``state`` now."""
        self.state = state
        self.state_changed_at = datetime.now(UTC)

    @property
    def complete_chain(self) -> str:
        """PEM of its own certificate and of its issuers up to the root; empty before it has one."""
        return pem(self.certificate) + self.chain if self.certificate else ""

    def install(self, certificate_pem: str, chain_pem: str) -> None:
        """
        Take a certificate into use and become ACTIVE, be it the first one or a reissued one.

        Raises:
            ServiceError: If the PEM cannot be read, belongs to another key, is no CA's, or a subordinate comes without
                a chain.
        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
            chain = x509.load_pem_x509_certificates(chain_pem.encode()) if chain_pem.strip() else []
        except ValueError as error:
            raise ServiceError("MalformedCertificateException", f"not a PEM certificate: {error}") from error
        if certificate.public_key() != self.key.public_key():
            raise ServiceError("CertificateMismatchException", f"the certificate does not match the key of {self.arn}")
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        if not constraints.value.ca:
            raise ServiceError("MalformedCertificateException", "the certificate is not a CA certificate")
        if self.kind == "SUBORDINATE" and not chain:
            raise ServiceError("InvalidRequestException", f"{self.arn} is a subordinate CA: its chain is missing")
        self.certificate, self.chain = certificate, "".join(pem(issuer) for issuer in chain)
        self.change_state("ACTIVE")

    def issue(self, request: x509.CertificateSigningRequest, terms: Terms) -> Issued:
        """
        A certificate for ``request``, kept under its ARN.

        Raises:
            ServiceError: If this CA is not active, the certificate would outlive it, or its usage mode forbids it.
        """
        template = terms.template
        if template.self_signed:
            self._require_own(request)
        elif self.status != "ACTIVE" or self.certificate is None:
            raise ServiceError(
                "InvalidStateException", f"the certificate authority {self.arn} is {self.status}, not ACTIVE"
            )
        period = self._period(terms)
        name = request.subject if template.self_signed or not self.certificate else self.certificate.subject
        algorithm = terms.algorithm or self.configuration["SigningAlgorithm"]
        certificate = x509_signing.issue(request, template, Signer(name, self.key, algorithm), period)
        arn = f"{self.arn}/certificate/{certificate.serial_number:032x}"
        issued = Issued(arn, certificate, "" if template.self_signed else self.complete_chain)
        self.issued[arn] = issued
        return issued

    def _require_own(self, request: x509.CertificateSigningRequest) -> None:
        if self.kind != "ROOT" or request.public_key() != self.key.public_key():
            raise ServiceError("InvalidArgsException", f"only the root CA {self.arn} itself may use the root template")

    def _period(self, terms: Terms) -> Period:
        try:
            end = x509_signing.validity_end(terms.validity, terms.issued_at)
        except (ValueError, KeyError) as error:
            raise ServiceError("InvalidArgsException", f"invalid validity: {error}") from error
        start = terms.not_before or terms.issued_at - terms.back_dating
        if end <= start:
            raise ServiceError("InvalidArgsException", f"the validity ends at {end:%FT%TZ}, before it begins")
        if (
            not terms.template.self_signed
            and self.certificate is not None
            and end > self.certificate.not_valid_after_utc
        ):
            raise ServiceError(
                "ValidationException",
                f"The certificate validity specified exceeds the certificate authority validity: {end:%FT%TZ} is after "
                f"{self.certificate.not_valid_after_utc:%FT%TZ}",
            )
        if self.usage_mode == "SHORT_LIVED_CERTIFICATE" and not terms.template.for_authority:
            self._require_short(end - terms.issued_at)
        return Period(start, end)

    def _require_short(self, lifetime: timedelta) -> None:
        if lifetime > SHORT_LIVED_LIMIT:
            raise ServiceError(
                "ValidationException", f"{self.arn} issues certificates of at most 7 days, not {lifetime}"
            )
