"""ACM and Private CA in memory, with real keys and certificates: what comes out passes the real pre-flight."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evidence.simulation.root import KEY, SIGNED_WITH, SimulatedRoot
from local.aws.certificates import x509_signing as signing
from local.pkcs8 import encrypt_private_key
from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.errors import AwsRefused
from meshcert.issuing.acm import HeldCertificate
from meshcert.issuing.issuer import ValidityPeriod
from meshcert.lifecycle.policy import Policy
from meshcert.material import EncryptedPrivateKey, Material, Passphrase, certificate_version
from meshcert.material.certificate_facts import certificate_facts, public_key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.clock import Clock

LIFETIME = dt.timedelta(days=CERTIFICATE_DAYS)


@dataclass
class Issued:
    """A certificate under an ARN."""

    name: str
    pem: str
    key: signing.PrivateKey
    validity: ValidityPeriod
    serial_number: str
    exported: bool = False
    renewal_status: str = ""


class CertificateManager(SimulatedRoot):
    """
    ACM with one root CA. It renews when asked, and only what was exported since.

    Args:
        clock: Time.
        later: Has something happen later: what ACM does about a renewal.
    """

    def __init__(self, clock: Clock, later: Callable[[Callable[[], object]], object]) -> None:
        self.certificates: dict[str, Issued] = {}
        self.on_renewal: Callable[[str], object] = lambda arn: arn
        self.renewed = 0
        self._clock, self._later, self._back_dating = clock, later, dt.timedelta(seconds=Policy().back_dating_s)
        super().__init__(clock, "fleet root", self._back_dating)

    def issue(self, arn: str, name: str) -> None:
        """A new certificate and key under an ARN."""
        key, end = signing.new_private_key(KEY), self._clock.now() + LIFETIME
        subject = signing.distinguished_name({"CommonName": name})
        request = signing.signing_request(subject, key, SIGNED_WITH, (name,))
        leaf = self.sign(request, "EndEntityCertificate", self._clock.now() - self._back_dating, end)
        validity = ValidityPeriod(leaf.not_valid_before_utc, leaf.not_valid_after_utc)
        serial_number = certificate_facts(signing.pem(leaf)).serial_number
        self.certificates[arn] = Issued(name, signing.pem(leaf), key, validity, serial_number)

    def describe(self, certificate_arn: str) -> Mapping[str, Any]:
        """DescribeCertificate."""
        issued = self.certificates[certificate_arn]
        return {
            "Status": "ISSUED",
            "Serial": issued.serial_number,
            "NotBefore": issued.validity.not_before,
            "NotAfter": issued.validity.not_after,
            "RenewalEligibility": "ELIGIBLE" if issued.exported else "INELIGIBLE",
            "RenewalSummary": {"RenewalStatus": issued.renewal_status},
        }

    def held(self, certificate_arn: str) -> HeldCertificate:
        """GetCertificate."""
        issued = self.certificates[certificate_arn]
        return HeldCertificate(issued.serial_number, certificate_version(issued.pem), public_key_of(issued.pem))

    def renew(self, certificate_arn: str) -> None:
        """RenewCertificate; one that is under way is as good."""
        issued = self.certificates[certificate_arn]
        if not issued.exported:
            raise AwsRefused("acm:RenewCertificate", certificate_arn, "ValidationException", "has not been exported")
        if issued.renewal_status != "PENDING_AUTO_RENEWAL":
            issued.renewal_status = "PENDING_AUTO_RENEWAL"
            self._later(lambda: self._renew(certificate_arn))

    def owner(self, certificate_arn: str) -> str:
        """ListTagsForCertificate: the identity that the certificate was requested for."""
        return self.certificates[certificate_arn].name.partition(".")[0]

    def published(self, identity: str, certificate_arn: str) -> None:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.published`."""

    def export(self, certificate_arn: str, passphrase: Passphrase) -> Material:
        """ExportCertificate."""
        issued = self.certificates[certificate_arn]
        issued.exported = True
        key = EncryptedPrivateKey(encrypt_private_key(issued.key, passphrase.reveal(), "pbes2-sha1"))
        return Material(issued.pem, self.root_pem, key, passphrase)

    def _renew(self, arn: str) -> None:
        self.issue(arn, self.certificates[arn].name)
        self.certificates[arn].renewal_status = "SUCCESS"
        self.renewed += 1
        self.on_renewal(arn)
