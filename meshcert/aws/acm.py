"""Certificates in ACM."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.errors import CertificatePending, CertificateUnusable
from meshcert.issuing.issuer import IssuedCertificate
from meshcert.material import EncryptedPrivateKey, Material, Passphrase
from meshcert.naming import IDENTITY_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator


class Acm:
    """
    :class:`meshcert.issuing.issuer.MaterialSource`.

    Args:
        client: boto3's ``acm`` client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def look(self, reference: str) -> IssuedCertificate:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.look`."""
        with aws_errors("acm:DescribeCertificate", reference):
            description = self._client.describe_certificate(CertificateArn=reference)["Certificate"]
        _require_issued(reference, description)
        with aws_errors("acm:GetCertificate", reference), still_issuing(reference):
            answer = self._client.get_certificate(CertificateArn=reference)
        return IssuedCertificate(
            certificate=answer["Certificate"],
            certificate_chain=answer.get("CertificateChain", ""),
            to_take_out=description.get("RenewalEligibility") != "ELIGIBLE",
        )

    def owner(self, reference: str) -> str:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.owner`."""
        with aws_errors("acm:ListTagsForCertificate", reference):
            tags = self._client.list_tags_for_certificate(CertificateArn=reference)["Tags"]
        return next((str(tag.get("Value", "")) for tag in tags if tag["Key"] == IDENTITY_TAG), "")

    def export(self, reference: str, passphrase: Passphrase) -> Material:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.export`."""
        with (
            aws_errors("acm:ExportCertificate", reference, carries_material=True),
            still_issuing(reference),
        ):
            # Raw bytes: boto3 does the base64 encoding.
            answer = self._client.export_certificate(CertificateArn=reference, Passphrase=passphrase.reveal().encode())
        return Material(
            certificate=answer["Certificate"],
            certificate_chain=answer["CertificateChain"],
            private_key=EncryptedPrivateKey(answer["PrivateKey"]),
            passphrase=passphrase,
        )

    def published(self, identity: str, reference: str) -> None:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.published`: ACM keeps what it has issued."""


@contextmanager
def still_issuing(certificate_arn: str) -> Iterator[None]:
    """
    Raise CertificatePending if ACM is still issuing a certificate, which :func:`aws_errors` would take for an outage.

    Raises:
        CertificatePending: For ACM's RequestInProgressException.
    """
    try:
        yield
    except ClientError as exc:
        if error_code(exc) == "RequestInProgressException":
            raise CertificatePending(certificate_arn, "being issued") from None
        raise


def _require_issued(certificate_arn: str, description: dict[str, Any]) -> None:
    status = description["Status"]
    if status == "PENDING_VALIDATION":
        raise CertificatePending(certificate_arn, status)
    if status != "ISSUED":
        raise CertificateUnusable(certificate_arn, status, description.get("FailureReason", ""))
