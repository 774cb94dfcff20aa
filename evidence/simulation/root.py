"""A root CA in memory that signs as AWS Private CA's templates say; its certificates pass the real pre-flight."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from local.aws.certificates import x509_signing as signing

if TYPE_CHECKING:
    from cryptography import x509

    from meshcert.clock import Clock

KEY, SIGNED_WITH = "EC_prime256v1", "SHA256WITHECDSA"
_LIVES = dt.timedelta(days=3650)


class SimulatedRoot:
    """
    A CA that publishing and the lifecycle may ask, and have revoke.

    :class:`meshcert.publishing.ports.CertificateAuthorities`, :class:`meshcert.lifecycle.ports.RevokingAuthorities`.

    Args:
        clock: Its own certificate begins now.
        name: Its common name.
        back_dating: How much earlier that is.
    """

    def __init__(self, clock: Clock, name: str, back_dating: dt.timedelta) -> None:
        self._key, self._subject = signing.new_private_key(KEY), signing.distinguished_name({"CommonName": name})
        self._end = clock.now() + _LIVES
        self.revoked: set[str] = set()
        request = signing.signing_request(self._subject, self._key, SIGNED_WITH)
        self.root_pem = signing.pem(self.sign(request, "RootCACertificate", clock.now() - back_dating, self._end))

    def sign(
        self, request: x509.CertificateSigningRequest, template: str, begin: dt.datetime, end: dt.datetime
    ) -> x509.Certificate:
        """The certificate for a request, by the template of this name."""
        return signing.issue(
            request,
            signing.Template.from_arn(f"arn:aws:acm-pca:::template/{template}/V1"),
            signing.Signer(self._subject, self._key, SIGNED_WITH),
            signing.Period(begin, end),
        )

    def chain(self, certificate_authority_arn: str) -> tuple[str, ...]:
        """GetCertificateAuthorityCertificate: a root's own."""
        return (self.certificate(certificate_authority_arn),)

    def certificate(self, certificate_authority_arn: str) -> str:
        """GetCertificateAuthorityCertificate."""
        del certificate_authority_arn
        return self.root_pem

    root = certificate

    def not_after(self, certificate_authority_arn: str) -> dt.datetime:
        """The end of its validity."""
        del certificate_authority_arn
        return self._end

    def revoke(self, certificate_authority_arn: str, serial_number: str) -> None:
        """RevokeCertificate."""
        del certificate_authority_arn
        self.revoked.add(serial_number)
