"""Certificate authorities in AWS Private CA, and the certificates that they issue."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.clock import SystemClock
from meshcert.errors import AwsRefused, AwsUnavailable, CertificatePending, CertificateUnusable, IdentityMissing
from meshcert.issuing.existing_authority import SeenAuthority, seen_authority
from meshcert.material import split_certificates
from meshcert.material.certificate_facts import certificate_facts
from meshcert.publishing.declared_roots import DeclaredRoots

if TYPE_CHECKING:
    from meshcert.clock import Clock
    from meshcert.issuing.certificate_request import CertificateRequest

_KEPT = dt.timedelta(hours=1)


class PrivateCa:
    """
    CAs and what they issue, for all that ask.

    :class:`meshcert.publishing.ports.CertificateAuthorities`, :class:`meshcert.lifecycle.ports.RevokingAuthorities`,
    :class:`meshcert.issuing.private_ca.IssuedCertificates`, :class:`meshcert.issuing.issuing_once.SigningAuthority`.

    Args:
        client: boto3's ``acm-pca`` client.
        clock: Tells when a cached answer is too old; by default the machine's clock.
        roots: The roots that CAs of the user's have to lead to.
    """

    def __init__(self, client: Any, clock: Clock | None = None, roots: DeclaredRoots | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._roots = roots or DeclaredRoots()
        self._ends: dict[str, tuple[dt.datetime, dt.datetime]] = {}

    def certificate(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.certificate`."""
        return self.chain(certificate_authority_arn)[0]

    def root(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.root`."""
        root = self.chain(certificate_authority_arn)[-1]
        self._roots.require(certificate_authority_arn, root)
        return root

    def chain(self, certificate_authority_arn: str) -> tuple[str, ...]:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.chain`."""
        with aws_errors("acm-pca:GetCertificateAuthorityCertificate", certificate_authority_arn):
            answer = self._client.get_certificate_authority_certificate(
                CertificateAuthorityArn=certificate_authority_arn
            )
        return (str(answer["Certificate"]), *split_certificates(str(answer.get("CertificateChain", ""))))

    def not_after(self, certificate_authority_arn: str) -> dt.datetime:
        """See :meth:`meshcert.lifecycle.ports.Authorities.not_after`."""
        now = self._clock.now()
        asked_at, end = self._ends.get(certificate_authority_arn, (None, now))
        if asked_at is None or now - asked_at >= _KEPT:
            # What it signs ends with the first certificate of its chain that ends.
            chain = self.chain(certificate_authority_arn)
            end = min(certificate_facts(certificate).not_after for certificate in chain)
            self._ends[certificate_authority_arn] = (now, end)
        return end

    def leaf(self, certificate_arn: str) -> tuple[str, str]:
        """See :meth:`meshcert.issuing.private_ca.IssuedCertificates.leaf`."""
        authority, found, _ = certificate_arn.partition("/certificate/")
        if not found:
            raise IdentityMissing(
                certificate_arn or "a certificate without an ARN", "Deploy the identities stack again"
            )
        with aws_errors("acm-pca:GetCertificate", certificate_arn):
            try:
                answer = self._client.get_certificate(CertificateAuthorityArn=authority, CertificateArn=certificate_arn)
            except ClientError as exc:
                if error_code(exc) == "RequestInProgressException":
                    raise CertificatePending(certificate_arn, "being issued") from None
                if error_code(exc) == "RequestFailedException":
                    reason = str(exc.response["Error"].get("Message", ""))
                    raise CertificateUnusable(certificate_arn, "FAILED", reason) from None
                raise
        return str(answer["Certificate"]), str(answer.get("CertificateChain", ""))

    def revoke(self, certificate_authority_arn: str, serial_number: str) -> None:
        """See :meth:`meshcert.lifecycle.ports.RevokingAuthorities.revoke`."""
        with aws_errors("acm-pca:RevokeCertificate", certificate_authority_arn):
            try:
                self._client.revoke_certificate(
                    CertificateAuthorityArn=certificate_authority_arn,
                    CertificateSerial=bytes.fromhex(serial_number).hex(":"),
                    RevocationReason="KEY_COMPROMISE",
                )
            except ClientError as exc:
                code = error_code(exc)
                if code == "InvalidStateException":
                    # A CA that is deleted, or disabled, does not heal: nobody asks it every minute for a year.
                    message = str(exc.response["Error"].get("Message", ""))
                    raise AwsRefused("acm-pca:RevokeCertificate", certificate_authority_arn, code, message) from None
                if code != "RequestAlreadyProcessedException":
                    raise

    def has_list(self, certificate_authority_arn: str) -> bool:
        """
        True if a CA writes a revocation list (acm-pca:DescribeCertificateAuthority).

        Raises:
            IdentityMissing: If there is no such CA.
        """
        with aws_errors("acm-pca:DescribeCertificateAuthority", certificate_authority_arn):
            answer = self._client.describe_certificate_authority(CertificateAuthorityArn=certificate_authority_arn)
        revocation = answer["CertificateAuthority"].get("RevocationConfiguration", {})
        return bool(revocation.get("CrlConfiguration", {}).get("Enabled"))

    def seen(self, certificate_authority_arn: str) -> SeenAuthority:
        """See :meth:`meshcert.deploying.existing_authorities.ExistingAuthorities.seen`."""
        with aws_errors("acm-pca:DescribeCertificateAuthority", certificate_authority_arn):
            described = self._client.describe_certificate_authority(CertificateAuthorityArn=certificate_authority_arn)
        with aws_errors("acm-pca:ListPermissions", certificate_authority_arn):
            pages = self._client.get_paginator("list_permissions").paginate(
                CertificateAuthorityArn=certificate_authority_arn
            )
            permissions = pages.build_full_result()["Permissions"]
        authority = described["CertificateAuthority"]
        # Of one that is not ACTIVE, AWS shows no chain.
        is_active = authority["Status"] == "ACTIVE"
        chain = self.chain(certificate_authority_arn)[1:] if is_active else []
        return seen_authority(authority, permissions, chain)

    def issue(self, request: CertificateRequest) -> str:
        """See :meth:`meshcert.issuing.issuing_once.SigningAuthority.issue`."""
        operation, authority = "acm-pca:IssueCertificate", request.authority_arn
        with aws_errors(operation, authority):
            try:
                return str(self._client.issue_certificate(**request.parameters())["CertificateArn"])
            except ClientError as exc:
                if error_code(exc) != "InvalidStateException":
                    raise
                # A CA whose certificate is being installed heals; for the others, the message says the state.
                reason = f"{exc.response['Error'].get('Message', '')} (InvalidStateException). Look at the CA's status"
                raise AwsUnavailable(operation, authority, reason, without_effect=True) from None
