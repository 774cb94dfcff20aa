"""Certificate authorities in AWS Private CA."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.clock import SystemClock
from meshcert.material.certificate_facts import certificate_facts

if TYPE_CHECKING:
    from meshcert.clock import Clock

_KEPT = dt.timedelta(hours=1)


class PrivateCa:
    """
    :class:`meshcert.publishing.ports.CertificateAuthorities` and :class:`meshcert.lifecycle.ports.Authorities`.

    Args:
        client: boto3's ``acm-pca`` client.
        clock: Tells when a cached answer is too old; by default the machine's clock.
    """

    def __init__(self, client: Any, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._ends: dict[str, tuple[dt.datetime, dt.datetime]] = {}

    def certificate(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.certificate`."""
        with aws_errors("acm-pca:GetCertificateAuthorityCertificate", certificate_authority_arn):
            answer = self._client.get_certificate_authority_certificate(
                CertificateAuthorityArn=certificate_authority_arn
            )
        return str(answer["Certificate"])

    def not_after(self, certificate_authority_arn: str) -> dt.datetime:
        """See :meth:`meshcert.lifecycle.ports.Authorities.not_after`."""
        now = self._clock.now()
        asked_at, end = self._ends.get(certificate_authority_arn, (None, now))
        if asked_at is None or now - asked_at >= _KEPT:
            end = certificate_facts(self.certificate(certificate_authority_arn)).not_after
            self._ends[certificate_authority_arn] = (now, end)
        return end
