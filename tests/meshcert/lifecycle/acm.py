"""ACM, Private CA and the export function in memory: years pass in no time, and certificates are only facts."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshcert.errors import AwsRefused, CertificatePending, ExportFailed, IdentityMissing, VersionQuarantined
from meshcert.issuing.acm import ACM, HeldCertificate
from meshcert.issuing.issuer import ValidityPeriod
from meshcert.lifecycle.policy import Policy
from meshcert.publishing.publication import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evidence.simulation.tables import InMemoryIdentities
    from evidence.simulation.vault import InMemoryVault
    from tests.meshcert.publishing.fakes import FakeClock

LIFETIME = dt.timedelta(days=395)
DAY = dt.timedelta(days=1)


def version_of(serial_number: str) -> str:
    """The secret version that holds the certificate with that serial number."""
    return hashlib.sha256(serial_number.encode()).hexdigest()


@dataclass
class Issued:
    """A certificate under an ARN, and its renewal."""

    serial_number: str
    validity: ValidityPeriod
    exported: bool = False
    renewal_status: str = ""
    renewal_reason: str = ""
    attempt_at: dt.datetime | None = None
    gives_up_at: dt.datetime | None = None
    status: str = "ISSUED"


@dataclass
class SimulatedAcm:
    """
    Private certificates as ACM keeps them (facts: ACM user guide, "Managed renewal"; HashiCorp's acceptance tests).

    A renewal is asynchronous, needs an export since the certificate was issued, makes a new key and serial number, and
    stays pending when ACM has no permission on the CA, although RenewCertificate has answered 200.

    Args:
        clock: Time.
        renewal_takes: From RenewCertificate to the new certificate.
        lifetime: Of a certificate; it must end before its CA.
        permitted: Whether ACM may use the CA.
        permission: The same, asked anew at every attempt.
        renews_by_itself: Whether managed renewal happens.
    """

    clock: FakeClock
    renewal_takes: dt.timedelta = dt.timedelta(minutes=1)
    lifetime: dt.timedelta = LIFETIME
    permitted: bool = True
    permission: Callable[[], bool] = lambda: True
    renews_by_itself: bool = True
    certificates: dict[str, Issued] = field(default_factory=dict)
    authorities: dict[str, dt.datetime] = field(default_factory=dict)
    serial_numbers: list[str] = field(default_factory=list)
    renewals_asked: int = 0
    revoked: list[str] = field(default_factory=list)
    revoked_by: list[str] = field(default_factory=list)
    keeps_keys: bool = False
    on_revoke: Callable[[], object] = lambda: None
    policy: Policy = field(default_factory=Policy)

    def issue(self, arn: str, at: dt.datetime | None = None) -> Issued:
        """A new certificate and key under an ARN, as if issued at a time."""
        issued_at = at or self.clock.now()
        number = f"{(1 << 124) + len(self.serial_numbers) + 1:x}"
        self.serial_numbers.append(number)
        back_dating = dt.timedelta(seconds=self.policy.back_dating_s)
        self.certificates[arn] = Issued(number, ValidityPeriod(issued_at - back_dating, issued_at + self.lifetime))
        return self.certificates[arn]

    def advance(self) -> None:
        """What ACM does by itself until now."""
        for arn, issued in list(self.certificates.items()):
            self._renew_by_itself(issued)
            if issued.attempt_at and issued.attempt_at <= self.clock.now():
                self._attempt(arn, issued)

    def describe(self, certificate_arn: str) -> Mapping[str, Any]:
        """DescribeCertificate."""
        issued = self._find(certificate_arn)
        expired = self.clock.now() >= issued.validity.not_after
        return {
            "Status": "EXPIRED" if expired else issued.status,
            "Serial": issued.serial_number,
            "NotBefore": issued.validity.not_before,
            "NotAfter": issued.validity.not_after,
            "RenewalEligibility": "ELIGIBLE" if issued.exported and not expired else "INELIGIBLE",
            "RenewalSummary": {
                "RenewalStatus": issued.renewal_status,
                "RenewalStatusReason": issued.renewal_reason,
            },
        }

    def held(self, certificate_arn: str) -> HeldCertificate:
        """GetCertificate."""
        issued = self._find(certificate_arn)
        if issued.status == "PENDING_VALIDATION":
            raise CertificatePending(certificate_arn, issued.status)
        key = "the same" if self.keeps_keys else f"key of {issued.serial_number}"
        return HeldCertificate(issued.serial_number, version_of(issued.serial_number), key)

    def renew(self, certificate_arn: str) -> None:
        """RenewCertificate: 200 and nothing else, even when there is no permission."""
        issued = self._find(certificate_arn)
        self.renewals_asked += 1
        if not issued.exported:
            raise AwsRefused("acm:RenewCertificate", certificate_arn, "ValidationException", "has not been exported")
        if issued.attempt_at is None:
            self._begin(issued)

    def export(self, certificate_arn: str) -> str:
        """ExportCertificate: the version that came out."""
        issued = self._find(certificate_arn)
        issued.exported = True
        return version_of(issued.serial_number)

    def not_after(self, certificate_authority_arn: str) -> dt.datetime:
        """End of a CA certificate's validity."""
        if certificate_authority_arn not in self.authorities:
            raise IdentityMissing(certificate_authority_arn, "Deploy the stacks again")
        return self.authorities[certificate_authority_arn]

    def revoke(self, certificate_authority_arn: str, serial_number: str) -> None:
        """RevokeCertificate, of what is not revoked yet."""
        self.not_after(certificate_authority_arn)
        assert serial_number in self.serial_numbers
        if serial_number not in self.revoked:
            self.on_revoke()
            self.revoked.append(serial_number)
            self.revoked_by.append(certificate_authority_arn)

    def _begin(self, issued: Issued) -> None:
        issued.renewal_status = "PENDING_AUTO_RENEWAL"
        issued.attempt_at = self.clock.now() + self.renewal_takes
        issued.gives_up_at = self.clock.now() + 3 * DAY

    def _renew_by_itself(self, issued: Issued) -> None:
        now = self.clock.now()
        due = self.policy.at(issued.validity, ACM.fractions.renews_itself or 1.0) <= now < issued.validity.not_after
        if self.renews_by_itself and due and issued.exported and issued.attempt_at is None:
            self._begin(issued)

    def _attempt(self, arn: str, issued: Issued) -> None:
        now = self.clock.now()
        too_long = any(end < now + self.lifetime for end in self.authorities.values())
        permitted = self.permitted and self.permission()
        if permitted and not too_long:
            self.issue(arn).renewal_status = "SUCCESS"
            return
        issued.renewal_reason = "PCA_INVALID_DURATION" if permitted else "PCA_ACCESS_DENIED"
        issued.attempt_at = now + DAY
        if issued.gives_up_at and now >= issued.gives_up_at:
            issued.attempt_at = None

    def _find(self, arn: str) -> Issued:
        self.advance()
        if arn not in self.certificates:
            raise IdentityMissing(arn, "Deploy the stacks again")
        return self.certificates[arn]


@dataclass
class ModelledExporter:
    """The export function, with the real publication; material and pre-flight have tests of their own."""

    acm: SimulatedAcm
    vault: InMemoryVault
    declared: InMemoryIdentities
    rejects: set[str] = field(default_factory=set)
    exports: int = 0

    def export(self, identity: str, version: str) -> str:
        """Export, and publish what is not quarantined."""
        del version
        row = self.declared.find(identity)
        if row is None:
            raise ExportFailed(identity, "IdentityMissing", "no such identity")
        seen = self.vault.labels(row.secret_id)
        exported = self.acm.export(row.certificate_arn)
        self.exports += 1
        if exported in self.rejects:
            raise ExportFailed(identity, "MaterialRejected", "the key does not belong to the certificate")
        try:
            publish(self.vault, row.secret_id, exported, "material", seen)
        except VersionQuarantined:
            return exported
        return exported
