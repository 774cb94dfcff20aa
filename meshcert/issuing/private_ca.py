"""
AWS Private CA as an issuer of certificates for keys of meshcert's own: with SPIFFE IDs too, and lives of hours or days.

It renews nothing by itself, and never hands out a key. The export function makes key and request and keeps both until
the certificate is published (:mod:`meshcert.issuing.issuing_once`); the renewal function sees certificates alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from meshcert.errors import AwsRefused, CertificatePending, CertificateUnusable
from meshcert.issuing.issuer import (
    Abilities,
    Fractions,
    Issuance,
    IssuanceState,
    News,
    Remedies,
    ValidityPeriod,
)
from meshcert.issuing.private_ca_lives import RENEWED_UNTIL
from meshcert.material import certificate_version
from meshcert.material.certificate_facts import certificate_facts, public_key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE_CA = Abilities(
    name="AWS Private CA",
    renews_on_order=True,
    exports_again=False,
    revokes=True,
    fractions=Fractions(renews_itself=None, own_renewal=float(RENEWED_UNTIL), warning=0.75, page=0.85),
    # A rotation takes one IssueCertificate, of which 25 are answered in a second for a whole account and region (AWS
    # General Reference, "AWS Private Certificate Authority endpoints and quotas"), and a few GetCertificate, of 75.
    looks_per_second=12.0,
    remedies=Remedies(
        missing="Deploy the identities stack again: it has a certificate issued",
        unusable="Nothing at once: another one is asked for. If it stays so, look at the CA and at CloudTrail",
        failing="Do what the error asks for; it is asked again ever later, by `meshcert renew` now",
    ),
    renews_anew=True,
)

_CERTIFICATE = "/certificate/"
_ISSUED = "ACM Private CA Certificate Issuance"
"""detail-type of the event (AWS Private CA user guide, "Monitoring with EventBridge")."""


def authority_of(reference: str) -> str:
    """ARN of the CA that issued a certificate; empty if it is not named as Private CA names certificates."""
    authority, _, number = reference.partition(_CERTIFICATE)
    return authority if number and ":certificate-authority/" in authority else ""


def is_certificate_of(reference: str, authority_arn: str, serial_number: str) -> bool:
    """
    True if Private CA names a CA's certificate with this serial number so: the number stands in the ARN.

    AWS's examples have it as hex, and one as a decimal.

    Args:
        serial_number: Hex; zeros before it count nothing.
    """
    authority, found, number = reference.partition(_CERTIFICATE)
    written = {form.format(int(serial_number, 16)) for form in ("{:x}", "{:d}")}
    return bool(found) and authority == authority_arn and number.lower().lstrip("0") in written


class IssuedCertificates(Protocol):
    """AWS Private CA, as far as it shows certificates; :class:`meshcert.aws.private_ca.PrivateCa` asks it."""

    def leaf(self, certificate_arn: str) -> tuple[str, str]:
        """
        A certificate and its issuers, PEM (acm-pca:GetCertificate).

        Raises:
            CertificatePending: If it is not issued yet.
            CertificateUnusable: If issuing it failed.
            IdentityMissing: If there is no such certificate, or its CA is gone.
        """
        ...


class Replacer(Protocol):
    """The export function, as far as it has certificates issued."""

    def replace(self, identity: str, certificate_arn: str) -> None:
        """
        Have another certificate issued in the place of one. Nothing is issued if that was replaced already.

        Args:
            certificate_arn: The certificate to be replaced.

        Raises:
            ExportFailed: With the reason the function gave.
            AwsUnavailable: If the function did not answer, or Private CA did not answer it.
        """
        ...


class PrivateCaView:
    """:class:`meshcert.issuing.issuer.IssuanceView`."""

    can = PRIVATE_CA

    def __init__(self, certificates: IssuedCertificates) -> None:
        self._certificates = certificates

    def news(self, event: Mapping[str, Any]) -> News:
        """See :meth:`meshcert.issuing.issuer.IssuanceView.news`."""
        if (event.get("source"), event.get("detail-type")) != ("aws.acm-pca", _ISSUED):
            return News()
        resources = event.get("resources")
        named = resources if isinstance(resources, list) else []
        return News(tuple(each for each in named if isinstance(each, str) and _CERTIFICATE in each))

    def observe(self, reference: str, known: Mapping[str, str]) -> Issuance:
        """See :meth:`meshcert.issuing.issuer.IssuanceView.observe`."""
        del known
        try:
            certificate, _ = self._certificates.leaf(reference)
        except CertificatePending as pending:
            return Issuance(reference, IssuanceState.PENDING, pending.status)
        except CertificateUnusable as unusable:
            return Issuance(reference, IssuanceState.UNUSABLE, unusable.status, unusable.reason, renewable=True)
        try:
            facts, version = certificate_facts(certificate), certificate_version(certificate)
            key = public_key_of(certificate)
        except ValueError as error:
            raise AwsRefused("acm-pca:GetCertificate", reference, "MalformedCertificate", str(error)) from None
        return Issuance(
            reference,
            IssuanceState.ISSUED,
            "ISSUED",
            serial_number=facts.serial_number,
            validity=ValidityPeriod(facts.not_before, facts.not_after),
            version=version,
            public_key=key,
            renewable=True,
        )


class PrivateCaIssuer(PrivateCaView):
    """:class:`meshcert.issuing.issuer.Issuer`."""

    def __init__(self, certificates: IssuedCertificates, replacer: Replacer) -> None:
        super().__init__(certificates)
        self._replacer = replacer

    def renew(self, identity: str, issued: Issuance) -> None:
        """See :meth:`meshcert.issuing.issuer.Issuer.renew`."""
        self._replacer.replace(identity, issued.reference)
