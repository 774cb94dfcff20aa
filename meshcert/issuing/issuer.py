"""
The interface between meshcert and an issuer of certificates.

It has two halves, and no program has both. The renewal function observes and renews (:class:`Issuer`) and cannot reach
a private key; the export function exports material (:class:`MaterialSource`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshcert.material import Material, Passphrase


@dataclass(frozen=True)
class Fractions:
    """
    When things happen in a certificate's lifetime, as fractions of it: 0 at issue, 1 at the end.

    Args:
        renews_itself: When the issuer renews without being asked; None if it never does.
        own_renewal: When meshcert asks for a renewal that has not come.
        warning: When an alarm says that the renewed certificate is not published, or not served.
        page: When the same alarm is raised again, because a person has to act now.
    """

    renews_itself: float | None
    own_renewal: float
    warning: float
    page: float


@dataclass(frozen=True)
class Remedies:
    """
    The next step for a person, for each fault of an issuer.

    Args:
        missing: The certificate does not exist.
        unusable: It was not issued, or is revoked or expired.
        failing: Its renewal fails.
    """

    missing: str
    unusable: str
    failing: str


@dataclass(frozen=True)
class Abilities:
    """
    The abilities and limits of an issuer.

    Args:
        name: Its name in sentences.
        renews_on_order: It renews on request.
        exports_again: The same material can be exported again.
        revokes: It can revoke certificates.
        fractions: When it renews, and when somebody has to act.
        looks_per_second: How many identities may be looked at in a second under its quotas.
        remedies: What a person can do about its faults.
        renews_anew: A renewal needs no certificate that is still good, and every identity is due at a moment of its
            own (:mod:`meshcert.lifecycle.deciding.renewal_times`). Others renew at the fraction ``own_renewal``.
    """

    name: str
    renews_on_order: bool
    exports_again: bool
    revokes: bool
    fractions: Fractions
    looks_per_second: float
    remedies: Remedies
    renews_anew: bool = False


class IssuanceState(StrEnum):
    """The state of an issuance."""

    PENDING = "pending"
    """It is being issued."""
    ISSUED = "issued"
    UNUSABLE = "unusable"
    """It could not be issued, or may not be used any more."""


@dataclass(frozen=True)
class ValidityPeriod:
    """The time in which a certificate is valid, UTC. CAs set its start back a little before the issue."""

    not_before: dt.datetime
    not_after: dt.datetime


@dataclass(frozen=True)
class Issuance:
    """
    An identity's certificate as its issuer has it now.

    Args:
        reference: The issuer's name for it: for ACM, the certificate's ARN.
        status: The issuer's own word for the state, shown to people.
        reason: Why it is unusable, in the issuer's words; may be empty.
        serial_number: Lower-case hex, whole bytes, no colons; empty before it is issued.
        validity: None before it is issued.
        version: Name of the secret version that holds it; see :func:`meshcert.material.certificate_version`.
        public_key: Hash of its public key (:func:`meshcert.material.certificate_facts.public_key_of`); empty if the
            certificate itself was not asked for.
        renewable: The issuer would renew it now on request.
        to_take_out: It must be exported, again if it is published already, before it can be renewed.
        renewing: A renewal is under way.
        trouble: Why the latest renewal is held up, and what to do about it; empty if it is not.
    """

    reference: str
    state: IssuanceState
    status: str
    reason: str = ""
    serial_number: str = ""
    validity: ValidityPeriod | None = None
    version: str = ""
    public_key: str = ""
    renewable: bool = False
    to_take_out: bool = False
    renewing: bool = False
    trouble: str = ""

    def taken_out(self) -> Issuance:
        """The same issuance after an export of its material."""
        return replace(self, to_take_out=False, renewable=self.renewable or self.to_take_out)


class News(NamedTuple):
    """
    The issuances that an event is about.

    Args:
        references: The issuances that have changed.
        echo: The issuer sends another event with the same news at the same time.
    """

    references: tuple[str, ...] = ()
    echo: bool = False


class IssuanceView(Protocol):
    """An issuer that can only be observed."""

    @property
    def can(self) -> Abilities:
        """The issuer's abilities."""
        ...

    def news(self, event: Mapping[str, Any]) -> News:
        """
        The issuances that an event is about; makes no call.

        Args:
            event: As EventBridge delivers it, with an object as its detail. It may come from any source.
        """
        ...

    def observe(self, reference: str, known: Mapping[str, str]) -> Issuance:
        """
        The state of an issuance now.

        Args:
            known: The secret versions of certificates that were seen before, by serial number: the issuer is not asked
                for them again.

        Raises:
            IdentityMissing: If there is no such issuance.
            AwsUnavailable: If the issuer does not answer now, or its answers differ because a renewal came between
                them.
        """
        ...


class Issuer(IssuanceView, Protocol):
    """An issuer that can be observed and asked to renew, without access to private keys."""

    def renew(self, identity: str, issued: Issuance) -> None:
        """
        Ask for a new certificate. A renewal that is already under way counts as one.

        Args:
            identity: Name of the identity.
            issued: What is to be renewed.

        Raises:
            AwsRefused: If it cannot be renewed, for example because it has not been exported since it was issued.
            IdentityMissing: If there is no such issuance.
        """
        ...


@dataclass(frozen=True)
class IssuedCertificate:
    """
    The public half of an issuance.

    Args:
        certificate: The leaf, PEM.
        certificate_chain: Its issuers, PEM.
        to_take_out: See :class:`Issuance`.
    """

    certificate: str
    certificate_chain: str
    to_take_out: bool


class MaterialSource(Protocol):
    """The half of an issuer's interface that gives access to private keys; only the export role has it."""

    def look(self, reference: str) -> IssuedCertificate:
        """
        The public half of an issuance now.

        Raises:
            CertificatePending: If it is not issued yet.
            CertificateUnusable: If issuing it failed, or it is revoked or expired.
            IdentityMissing: If there is no such issuance.
        """
        ...

    def owner(self, reference: str) -> str:
        """
        The identity that an issuance was requested for, as whoever requested it has recorded with the issuer.

        Returns:
            The identity's name; empty if nothing was recorded.

        Raises:
            IdentityMissing: If there is no such issuance.
        """
        ...

    def export(self, reference: str, passphrase: Passphrase) -> Material:
        """
        Export certificate, chain and private key.

        Args:
            passphrase: Encrypts the private key.

        Raises:
            CertificatePending: If it is not issued yet.
            IdentityMissing: If there is no such issuance.
        """
        ...

    def published(self, identity: str, reference: str) -> None:
        """Take note that an identity's exported material was published: what was kept only to export it is deleted."""
        ...
