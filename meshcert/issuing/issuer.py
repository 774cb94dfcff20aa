"""
The seam between meshcert and an issuer of certificates.

It has two sides, and no program has both: the renewal function observes and renews (:class:`Issuer`) without a way to a
private key; the export function takes material out (:class:`MaterialSource`).
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
    Parts of a certificate's lifetime that are gone when something happens: 0 at issue, 1 at the end.

    Args:
        renews_itself: The issuer renews without being asked; None if it never does.
        own_renewal: We ask for a renewal that has not come.
        warning: An alarm says that the renewed certificate is not published, or not served.
        page: The same alarm, once more: now a person has to act.
    """

    renews_itself: float | None
    own_renewal: float
    warning: float
    page: float


@dataclass(frozen=True)
class Remedies:
    """
    The next step for a person, by an issuer's fault.

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
    The abilities of an issuer.

    Args:
        name: How it is called in sentences.
        renews_on_order: It renews when asked to.
        exports_again: The same material can be taken out again.
        revokes: It can revoke what it has issued.
        fractions: When it renews, and when somebody has to act.
        looks_per_second: How many identities may be looked at in a second, because of its quotas.
        remedies: What a person does about its faults.
    """

    name: str
    renews_on_order: bool
    exports_again: bool
    revokes: bool
    fractions: Fractions
    looks_per_second: float
    remedies: Remedies


class IssuanceState(StrEnum):
    """How far an issuance is."""

    PENDING = "pending"
    """It is being issued."""
    ISSUED = "issued"
    UNUSABLE = "unusable"
    """It could not be issued, or may not be used any more."""


@dataclass(frozen=True)
class ValidityPeriod:
    """The time in which a certificate is valid; a CA dates its begin back. UTC."""

    not_before: dt.datetime
    not_after: dt.datetime


@dataclass(frozen=True)
class Issuance:
    """
    An identity's certificate as its issuer has it now.

    Args:
        reference: What the issuer calls it: an ARN of ACM's.
        state: How far it is.
        status: The issuer's own word for the state, for people.
        reason: Why it is unusable, in the issuer's words; may be empty.
        serial_number: Lower-case hex, whole bytes, no colons; empty before it is issued.
        validity: None before it is issued.
        version: Name of the secret version that holds it; see :func:`meshcert.material.certificate_version`.
        renewable: It would be renewed now if that were asked for.
        to_take_out: It has to be taken out, again if it is published already, before it is renewed.
        renewing: A renewal is under way.
        trouble: Why the latest renewal does not come, and what to do about it; empty if all is well.
    """

    reference: str
    state: IssuanceState
    status: str
    reason: str = ""
    serial_number: str = ""
    validity: ValidityPeriod | None = None
    version: str = ""
    renewable: bool = False
    to_take_out: bool = False
    renewing: bool = False
    trouble: str = ""

    def taken_out(self) -> Issuance:
        """The same after its material was taken out."""
        return replace(self, to_take_out=False, renewable=self.renewable or self.to_take_out)


class News(NamedTuple):
    """
    Issuances that an event is about.

    Args:
        references: The issuances that have changed.
        echo: Another event, sent at the same time, has said so too.
    """

    references: tuple[str, ...] = ()
    echo: bool = False


class IssuanceView(Protocol):
    """An issuer, to look at."""

    @property
    def can(self) -> Abilities:
        """Its abilities."""
        ...

    def news(self, event: Mapping[str, Any]) -> News:
        """
        The issuances that an event is about; no call is made.

        Args:
            event: As EventBridge delivers it; its detail is an object. It may come from any source.
        """
        ...

    def observe(self, reference: str, known: Mapping[str, str]) -> Issuance:
        """
        An issuance as it is now.

        Args:
            reference: Which.
            known: Secret versions by serial number, of certificates that were seen before: the issuer is not asked for
                these again.

        Raises:
            IdentityMissing: If there is no such issuance.
            AwsUnavailable: If the issuer cannot say now, or contradicts itself in the middle of a renewal.
        """
        ...


class Issuer(IssuanceView, Protocol):
    """An issuer, without a way to a private key."""

    def renew(self, reference: str) -> None:
        """
        Ask for a new certificate. One that is under way already is as good.

        Raises:
            AwsRefused: If it cannot be renewed, for example because it was not taken out since it was issued.
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
    """The side of an issuer that gives private keys; only the export role has it."""

    def look(self, reference: str) -> IssuedCertificate:
        """
        The public half of an issuance as it is now.

        Raises:
            CertificatePending: If it is not issued yet.
            CertificateUnusable: If it failed, is revoked or has expired.
            IdentityMissing: If there is no such issuance.
        """
        ...

    def export(self, reference: str, passphrase: Passphrase) -> Material:
        """
        Take certificate, chain and private key out.

        Args:
            reference: Which issuance.
            passphrase: Encrypts the private key.

        Raises:
            CertificatePending: If it is not issued yet.
            IdentityMissing: If there is no such issuance.
        """
        ...
