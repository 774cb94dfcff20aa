"""One private certificate authority: its key, its certificate, what it issued, and the rules by which it issues."""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509

from local.aws.certificates import passthrough, x509_signing
from local.aws.certificates.x509_signing import Period, PrivateKey, Signer, Template, pem
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.certificates.life_scale import LifeScale
    from local.aws.certificates.progress import Progress

SHORT_LIVED_LIMIT = timedelta(days=7)


@dataclass(frozen=True)
class Issued:
    """
    A certificate that an authority gave out.

    Args:
        chain: PEM of its issuers: the issuing CA first, the root last.
        template: What was filled in.
        requested_by: The service that asked on a customer's behalf: ``acm.amazonaws.com``; empty for the customer.
    """

    arn: str
    certificate: x509.Certificate
    chain: str
    template: Template
    requested_by: str
    issued_at: datetime


@dataclass(frozen=True)
class Token:
    """An idempotency token: when it was first used, the request that came with it, and the ARN that answered."""

    used_at: datetime
    request: Mapping[str, Any]
    answer: str


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
        api_passthrough: ``ApiPassthrough``, which some templates take.
        requested_by: As in :class:`Issued`.
    """

    template: Template
    validity: Mapping[str, Any]
    issued_at: datetime
    back_dating: timedelta
    not_before: datetime | None = None
    algorithm: str | None = None
    api_passthrough: Mapping[str, Any] = field(default_factory=dict)
    requested_by: str = ""


@dataclass
class CertificateAuthority:
    """
    A private CA as Private CA keeps it.

    Args:
        arn: Its name.
        kind: ``ROOT`` or ``SUBORDINATE``.
        usage_mode: ``GENERAL_PURPOSE`` or ``SHORT_LIVED_CERTIFICATE``.
        configuration: Key algorithm, signing algorithm and subject, as given.
        progress: What its account's CAs are making.
        lives: How long the certificates of end entities live, for IssueCertificate's callers.
        repeated: How many requests got a certificate that had been issued for an earlier one with the same token.
    """

    arn: str
    kind: str
    usage_mode: str
    configuration: dict[str, Any]
    key: PrivateKey
    request: x509.CertificateSigningRequest
    progress: Progress
    lives: LifeScale
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
    tokens: dict[str, Token] = field(default_factory=dict)
    permissions: dict[str, dict[str, Any]] = field(default_factory=dict)
    revoked: dict[int, datetime] = field(default_factory=dict)
    audit_reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    revocation_reasons: dict[int, str] = field(default_factory=dict)
    list_number: int = 0
    repeated: int = 0
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
        elif template.for_authority:
            self._require_depth(template)
        algorithm = terms.algorithm or self.configuration["SigningAlgorithm"]
        self._require_algorithm(algorithm)
        period = self._period(terms)
        name = request.subject if template.self_signed or not self.certificate else self.certificate.subject
        passed = passthrough.passed(template, request, terms.api_passthrough)
        if template.self_signed:
            name = passed.subject or name
        certificate = x509_signing.issue(request, template, Signer(name, self.key, algorithm), period, passed)
        arn = f"{self.arn}/certificate/{certificate.serial_number:032x}"
        chain = "" if template.self_signed else self.complete_chain
        issued = Issued(arn, certificate, chain, template, terms.requested_by, terms.issued_at)
        self.issued[arn] = issued
        return issued

    def _require_own(self, request: x509.CertificateSigningRequest) -> None:
        if self.kind != "ROOT" or request.public_key() != self.key.public_key():
            raise ServiceError("InvalidArgsException", f"only the root CA {self.arn} itself may use the root template")

    def _require_depth(self, template: Template) -> None:
        """Below a CA there is room for as many CAs as the shortest path length above says."""
        if self.usage_mode == "SHORT_LIVED_CERTIFICATE":
            raise ServiceError(
                "InvalidArgsException",
                f"{self.arn} is a short-lived CA, the last of its hierarchy: it issues no CA certificate",
            )
        above = x509.load_pem_x509_certificates(self.complete_chain.encode())
        constraints = [each.extensions.get_extension_for_class(x509.BasicConstraints).value for each in above]
        lengths = [each.path_length - i for i, each in enumerate(constraints) if each.path_length is not None]
        if lengths and (template.path_length or 0) >= min(lengths):
            raise ServiceError(
                "ValidationException",
                f"the CA depth of {template.name} exceeds the limit set by its parents: below {self.arn} the path "
                f"length may be {min(lengths) - 1} at most",
            )

    def _require_algorithm(self, algorithm: str) -> None:
        key = self.configuration["KeyAlgorithm"]
        if algorithm not in x509_signing.SIGNING_ALGORITHMS:
            raise ServiceError("InvalidArgsException", f"the local Private CA does not sign with {algorithm}")
        if x509_signing.family(algorithm) != x509_signing.family(key):
            raise ServiceError("InvalidArgsException", f"{algorithm} does not sign with the {key} key of {self.arn}")

    def _period(self, terms: Terms) -> Period:
        try:
            end = validity_end(terms.validity, terms.issued_at)
        except (ValueError, KeyError) as error:
            raise ServiceError("InvalidArgsException", f"invalid validity: {error}") from error
        start = terms.not_before or terms.issued_at - terms.back_dating
        if end <= max(start, terms.issued_at):
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
        if terms.template.for_authority or terms.requested_by:
            return Period(start, end)
        return self.lives.scaled(Period(start, end), terms.issued_at)

    def _require_short(self, lifetime: timedelta) -> None:
        if lifetime > SHORT_LIVED_LIMIT:
            raise ServiceError(
                "ValidationException", f"{self.arn} issues certificates of at most 7 days, not {lifetime}"
            )


def validity_end(validity: Mapping[str, Any], start: datetime) -> datetime:
    """
    When a certificate of ``validity`` that is issued at ``start`` ends.

    Args:
        validity: Private CA's ``Type`` (END_DATE, ABSOLUTE, DAYS, MONTHS, YEARS) and ``Value``.
        start: The time of issue, aware UTC.

    Raises:
        ValueError: If the type is unknown, or the value is no date or less than 1.
    """
    value = int(validity["Value"])
    if value < 1:
        raise ValueError(f"{value} is less than 1")
    match validity["Type"]:
        case "ABSOLUTE":
            return datetime.fromtimestamp(value, UTC)
        case "END_DATE":
            text = str(value)
            return datetime.strptime(text, "%Y%m%d%H%M%S" if len(text) > 12 else "%y%m%d%H%M%S").replace(tzinfo=UTC)  # noqa: PLR2004 - UTCTime has twelve digits
        case "DAYS":
            return start + timedelta(days=value)
        case "MONTHS":
            return _plus_months(start, value)
        case "YEARS":
            return _plus_months(start, 12 * value)
        case unknown:
            raise ValueError(f"validity type {unknown!r} is none of END_DATE, ABSOLUTE, DAYS, MONTHS, YEARS")


def _plus_months(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
