"""Certificates in ACM, observed and renewed; nothing here can export one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.acm import still_issuing
from meshcert.aws.errors import aws_errors, error_code
from meshcert.errors import AwsRefused
from meshcert.issuing.acm import HeldCertificate
from meshcert.material import certificate_version
from meshcert.material.certificate_facts import certificate_facts, public_key_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class AcmRenewals:
    """
    :class:`meshcert.issuing.acm.RenewalCalls`.

    Args:
        client: boto3's ``acm`` client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe(self, certificate_arn: str) -> Mapping[str, Any]:
        """See :meth:`meshcert.issuing.acm.RenewalCalls.describe`."""
        with aws_errors("acm:DescribeCertificate", certificate_arn):
            description: Mapping[str, Any] = self._client.describe_certificate(CertificateArn=certificate_arn)[
                "Certificate"
            ]
        return description

    def held(self, certificate_arn: str) -> HeldCertificate:
        """See :meth:`meshcert.issuing.acm.RenewalCalls.held`."""
        with aws_errors("acm:GetCertificate", certificate_arn), still_issuing(certificate_arn):
            certificate = self._client.get_certificate(CertificateArn=certificate_arn)["Certificate"]
        try:
            serial_number = certificate_facts(certificate).serial_number
            return HeldCertificate(serial_number, certificate_version(certificate), public_key_of(certificate))
        except ValueError as error:
            raise AwsRefused("acm:GetCertificate", certificate_arn, "MalformedCertificate", str(error)) from None

    def renew(self, certificate_arn: str) -> None:
        """See :meth:`meshcert.issuing.acm.RenewalCalls.renew`."""
        with aws_errors("acm:RenewCertificate", certificate_arn):
            try:
                self._client.renew_certificate(CertificateArn=certificate_arn)
            except ClientError as exc:
                if error_code(exc) != "RequestInProgressException":
                    raise
