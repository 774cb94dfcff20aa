"""Certificates in ACM, for who watches and renews them: nothing here can export one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.acm import still_issuing
from meshcert.aws.errors import aws_errors, error_code
from meshcert.lifecycle.observing.observation import Certificate
from meshcert.lifecycle.policy import Validity
from meshcert.material import certificate_version
from meshcert.material.certificate_facts import certificate_facts

if TYPE_CHECKING:
    from collections.abc import Mapping


class AcmRenewals:
    """
    :class:`meshcert.lifecycle.ports.Renewals`.

    Args:
        client: boto3's ``acm`` client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe(self, certificate_arn: str) -> Certificate:
        """See :meth:`meshcert.lifecycle.ports.Renewals.describe`."""
        with aws_errors("acm:DescribeCertificate", certificate_arn):
            description = self._client.describe_certificate(CertificateArn=certificate_arn)["Certificate"]
        renewal = description.get("RenewalSummary", {})
        return Certificate(
            arn=certificate_arn,
            status=description["Status"],
            serial_number=_serial_number(description.get("Serial", "")),
            validity=_validity(description),
            renewable=description.get("RenewalEligibility") == "ELIGIBLE",
            renewal_status=renewal.get("RenewalStatus", ""),
            renewal_reason=renewal.get("RenewalStatusReason", ""),
            failure_reason=description.get("FailureReason", ""),
        )

    def version(self, certificate_arn: str) -> tuple[str, str]:
        """See :meth:`meshcert.lifecycle.ports.Renewals.version`."""
        with aws_errors("acm:GetCertificate", certificate_arn), still_issuing(certificate_arn):
            certificate = self._client.get_certificate(CertificateArn=certificate_arn)["Certificate"]
        return certificate_facts(certificate).serial_number, certificate_version(certificate)

    def renew(self, certificate_arn: str) -> None:
        """See :meth:`meshcert.lifecycle.ports.Renewals.renew`."""
        with aws_errors("acm:RenewCertificate", certificate_arn):
            try:
                self._client.renew_certificate(CertificateArn=certificate_arn)
            except ClientError as exc:
                if error_code(exc) != "RequestInProgressException":
                    raise


def _serial_number(shown: str) -> str:
    """ACM shows bytes with colons between them; a leading zero byte belongs to the encoding, not to the number."""
    digits = shown.replace(":", "")
    if not digits:
        return ""
    serial = f"{int(digits, 16):x}"
    return serial.zfill(len(serial) + len(serial) % 2)


def _validity(description: Mapping[str, Any]) -> Validity | None:
    if "NotBefore" not in description or "NotAfter" not in description:
        return None
    # boto3 gives times in the machine's own time zone.
    return Validity(description["NotBefore"].astimezone(dt.UTC), description["NotAfter"].astimezone(dt.UTC))
