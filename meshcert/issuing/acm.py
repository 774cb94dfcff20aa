"""
ACM as an issuer of private certificates, which it renews by itself once they have been exported.

The shapes of its events are documented in ACM user guide, "Amazon EventBridge support for ACM"; AWS Health user guide,
"Event schema". Every field of a detail is optional.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from meshcert.contract.lifetimes import CERTIFICATE_DAYS, RENEWED_BEFORE_END_DAYS
from meshcert.errors import AwsUnavailable, CertificatePending
from meshcert.issuing.issuer import Abilities, Fractions, Issuance, IssuanceState, News, Remedies, ValidityPeriod

if TYPE_CHECKING:
    from collections.abc import Mapping

ACM = Abilities(
    name="ACM",
    renews_on_order=True,
    exports_again=True,
    revokes=False,
    fractions=Fractions(
        renews_itself=(CERTIFICATE_DAYS - RENEWED_BEFORE_END_DAYS) / CERTIFICATE_DAYS,
        own_renewal=0.88,
        warning=0.90,
        page=0.95,
    ),
    # A rotation takes two calls of DescribeCertificate, and ACM answers ten a second for a whole account and region
    # (ACM user guide, "Quotas"): these are nine.
    looks_per_second=4.5,
    remedies=Remedies(
        missing="Deploy a change of its dns_names (add one): CloudFormation then requests another",
        unusable="Read ACM's reason, mend the CA or the request, then replace it by a deploy",
        failing="Do what ACM's reason asks for; it is asked again every three days, by `meshcert renew` now",
    ),
)

RENEWAL_REMEDIES = {
    "PCA_ACCESS_DENIED": "give ACM its permission on the CA back (deploy the pki stack: AWS::ACMPCA::Permission; on a "
    "CA of yours, its owner does: acm-pca:CreatePermission)",
    "PCA_INVALID_DURATION": "the CA ends before a new certificate would: raise the hierarchy's `reissue` and deploy; "
    "of a CA of yours, its owner reissues the certificate",
    "PCA_INVALID_STATE": "the CA is not ACTIVE: enable it, or restore it if it was deleted",
    "PCA_RESOURCE_NOT_FOUND": "the CA is gone for good: declare a new hierarchy and move the identity to it",
    "PCA_LIMIT_EXCEEDED": "a quota of AWS Private CA is used up: ask AWS to raise it",
    "SLR_NOT_FOUND": "create ACM's service-linked role in this account (iam:CreateServiceLinkedRole)",
}
"""Remedies for ACM's RenewalStatusReason (ACM user guide, "Handling exceptions")."""
SHARED_AGAIN = "have account {owner}, which owns the CA, share it by AWS RAM again; a deploy of its cell does"
"""The remedy for PCA_ACCESS_DENIED if another account owns the CA: ACM's own permission counts for nothing there."""

_ECHO = "AWS_ACM_RENEWAL_STATE_CHANGE"
"""AWS Health's code for events that repeat ACM's own about a renewal."""
_ISSUING = ("ISSUANCE", "RENEWAL")
_PENDING = "PENDING_VALIDATION"
_STATES = {_PENDING: IssuanceState.PENDING, "ISSUED": IssuanceState.ISSUED}


class HeldCertificate(NamedTuple):
    """
    What is read from a certificate itself, not from ACM's description of it.

    Args:
        serial_number: Lower-case hex, whole bytes.
        version: The secret version that holds it.
        public_key: See :class:`~meshcert.issuing.issuer.Issuance`.
    """

    serial_number: str
    version: str
    public_key: str = ""


class RenewalCalls(Protocol):
    """The calls to ACM that observe and renew; :class:`meshcert.aws.renewals.AcmRenewals` makes them."""

    def describe(self, certificate_arn: str) -> Mapping[str, Any]:
        """
        ACM's description of a certificate (acm:DescribeCertificate), with aware times.

        Raises:
            IdentityMissing: If there is no such certificate.
        """
        ...

    def held(self, certificate_arn: str) -> HeldCertificate:
        """
        The certificate that ACM holds now (acm:GetCertificate).

        Raises:
            CertificatePending: If the certificate is not issued yet.
            IdentityMissing: If there is no such certificate.
        """
        ...

    def renew(self, certificate_arn: str) -> None:
        """Ask ACM for a renewal; see :meth:`meshcert.issuing.issuer.Issuer.renew` (acm:RenewCertificate)."""
        ...


class AcmIssuer:
    """:class:`meshcert.issuing.issuer.Issuer`."""

    can = ACM

    def __init__(self, calls: RenewalCalls) -> None:
        self._calls = calls

    def news(self, event: Mapping[str, Any]) -> News:
        """See :meth:`meshcert.issuing.issuer.IssuanceView.news`."""
        detail, resources = event["detail"], _texts(event.get("resources"))
        match event.get("source"):
            case "aws.acm":
                # A mesh declares no imported certificate; any other field may be missing.
                issuing = detail.get("Action", "RENEWAL") in _ISSUING
                return News(tuple(resources[:1]) if issuing else ())
            case "aws.health":
                entities = detail.get("affectedEntities")
                entities = entities if isinstance(entities, list) else []
                named = [entity.get("entityValue") for entity in entities if isinstance(entity, dict)]
                found = dict.fromkeys(resources + _texts(named))
                return News(tuple(found), echo=detail.get("eventTypeCode") == _ECHO)
        return News()

    def observe(self, reference: str, known: Mapping[str, str]) -> Issuance:
        """See :meth:`meshcert.issuing.issuer.IssuanceView.observe`."""
        seen = issuance(reference, self._calls.describe(reference))
        if seen.state is not IssuanceState.ISSUED:
            return seen
        if seen.serial_number in known:
            return replace(seen, version=known[seen.serial_number])
        try:
            held = self._calls.held(reference)
        except CertificatePending:
            return replace(seen, state=IssuanceState.PENDING, status=_PENDING)
        if held.serial_number != seen.serial_number:
            # It was renewed between the two calls: the facts are those of the earlier certificate.
            seen = issuance(reference, self._calls.describe(reference))
        if held.serial_number != seen.serial_number:
            raise AwsUnavailable("acm:GetCertificate", reference, "it shows two certificates at once")
        return replace(seen, version=held.version, public_key=held.public_key)

    def renew(self, identity: str, issued: Issuance) -> None:
        """See :meth:`meshcert.issuing.issuer.Issuer.renew`."""
        del identity
        self._calls.renew(issued.reference)


def issuance(certificate_arn: str, description: Mapping[str, Any]) -> Issuance:
    """
    An issuance without its version, read from ACM's description of the certificate.

    Args:
        description: From DescribeCertificate, with aware times.
    """
    status = str(description["Status"])
    state = _STATES.get(status, IssuanceState.UNUSABLE)
    renewal = description.get("RenewalSummary", {})
    # RenewalEligibility is false from issue or renewal until the certificate has been exported.
    renewable = description.get("RenewalEligibility") == "ELIGIBLE"
    return Issuance(
        reference=certificate_arn,
        state=state,
        status=status,
        reason=str(description.get("FailureReason", "")),
        serial_number=_serial_number(str(description.get("Serial", ""))),
        validity=_validity(description),
        renewable=renewable,
        to_take_out=not renewable and state is IssuanceState.ISSUED,
        renewing=renewal.get("RenewalStatus") == "PENDING_AUTO_RENEWAL",
        trouble=_trouble(
            description, str(renewal.get("RenewalStatus", "")), str(renewal.get("RenewalStatusReason", ""))
        ),
    )


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _trouble(description: Mapping[str, Any], status: str, reason: str) -> str:
    if status != "FAILED" and (not reason or status == "SUCCESS"):
        return ""
    remedy = RENEWAL_REMEDIES.get(reason)
    owner, user = (_account(str(description.get(key, ""))) for key in ("CertificateAuthorityArn", "CertificateArn"))
    if reason == "PCA_ACCESS_DENIED" and owner and user and owner != user:
        remedy = SHARED_AGAIN.format(owner=owner)
    return (reason or "it gave no reason") + (f" ({remedy})" if remedy else "")


def _account(arn: str) -> str:
    """The account in an ARN; empty if there is none."""
    return ":".join(arn.split(":")[4:5])


def _serial_number(shown: str) -> str:
    """
    A serial number as whole bytes in lower-case hex, without colons.

    ACM writes colons between the bytes; a leading zero byte belongs to the encoding and not to the number.
    """
    digits = shown.replace(":", "")
    if not digits:
        return ""
    serial = f"{int(digits, 16):x}"
    return serial.zfill(len(serial) + len(serial) % 2)


def _validity(description: Mapping[str, Any]) -> ValidityPeriod | None:
    if "NotBefore" not in description or "NotAfter" not in description:
        return None
    # boto3 returns times in the machine's own time zone.
    return ValidityPeriod(description["NotBefore"].astimezone(dt.UTC), description["NotAfter"].astimezone(dt.UTC))
