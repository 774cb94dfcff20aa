"""Certificate authorities in AWS Private CA."""

from __future__ import annotations

from typing import Any

from meshcert.aws._errors import aws_errors


class PrivateCa:
    """
    :class:`meshcert.ports.CertificateAuthorities`.

    Args:
        client: boto3's ``acm-pca`` client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def certificate(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.ports.CertificateAuthorities.certificate`."""
        with aws_errors("acm-pca:GetCertificateAuthorityCertificate", certificate_authority_arn):
            answer = self._client.get_certificate_authority_certificate(
                CertificateAuthorityArn=certificate_authority_arn
            )
        return str(answer["Certificate"])
