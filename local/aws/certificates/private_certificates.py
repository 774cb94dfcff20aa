"""The private certificates of one account's ACM: requested, found by their ARN, deleted."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ministack.core import responses

from local.aws.certificates import certificate_events, service_linked_role
from local.aws.certificates.authority_policies import owner
from local.aws.certificates.private_certificate import PrivateCertificate, check_request, failure_reason
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.certificates.authority import CertificateAuthority
    from local.aws.config import CertificateTimes

logger = logging.getLogger(__name__)

_TOKEN_LIFETIME = timedelta(hours=1)
_OPTIONS = {"CertificateTransparencyLoggingPreference": "ENABLED"}


class PrivateCertificates:
    """
    All private certificates of one account.

    Args:
        account: Its id.
        times: How they are dated.
        find_authority: The CA that an ARN names, of whichever account; raises ServiceError if there is none, or the
            account may not issue from it.
    """

    def __init__(
        self, account: str, times: CertificateTimes, find_authority: Callable[[str], CertificateAuthority]
    ) -> None:
        self._account = account
        self._times = times
        self._find_authority = find_authority
        self._certificates: dict[str, PrivateCertificate] = {}
        self._tokens: dict[str, tuple[datetime, str]] = {}

    def all(self) -> list[PrivateCertificate]:
        """The certificates of every region, in the order they were requested."""
        return list(self._certificates.values())

    def in_region(self) -> list[PrivateCertificate]:
        """The certificates of the region in force, in the order they were requested."""
        return [certificate for certificate in self.all() if _is_here(certificate.arn)]

    def find(self, arn: str) -> PrivateCertificate | None:
        """The certificate ``arn`` names; None if there is none in the region in force."""
        return self._certificates.get(arn) if _is_here(arn) else None

    def request(self, fields: dict[str, Any], *, may_make_role: bool = True) -> PrivateCertificate:
        """
        RequestCertificate with a private CA. Issues at once; what the CA refuses becomes status FAILED, as on AWS.

        Args:
            may_make_role: Whether the requester may make ACM's service-linked role, without which certificates of
                another account's CA are not renewed.

        Raises:
            ServiceError: If ACM itself refuses the request.
        """
        names = tuple(dict.fromkeys([fields["DomainName"], *(fields.get("SubjectAlternativeNames") or [])]))
        algorithm = fields.get("KeyAlgorithm") or "RSA_2048"
        check_request(fields["DomainName"], names, algorithm)
        token, now = fields.get("IdempotencyToken"), datetime.now(UTC)
        if token in self._tokens and now - self._tokens[token][0] < _TOKEN_LIFETIME:
            requested = self._certificates.get(self._tokens[token][1])
            if requested is not None:
                return requested
        certificate = PrivateCertificate(
            arn=f"arn:aws:acm:{responses.get_region()}:{responses.get_account_id()}:certificate/{uuid.uuid4()}",
            domain_name=fields["DomainName"],
            names=names,
            authority_arn=fields["CertificateAuthorityArn"],
            key_algorithm=algorithm,
            tags=list(fields.get("Tags") or []),
            options=fields.get("Options") or dict(_OPTIONS),
            times=self._times,
            find_authority=self._find_authority,
        )
        try:
            certificate.issue(timedelta(seconds=self._times.born_days_ago * self._times.day_s))
        except ServiceError as error:
            if error.code == "InvalidArnException":
                raise
            logger.warning("%s: %s", certificate.arn, error)
            certificate.status, certificate.failure_reason = "FAILED", failure_reason(error)
        self._certificates[certificate.arn] = certificate
        if token:
            self._tokens[token] = (now, certificate.arn)
        if may_make_role and owner(certificate.authority_arn) != self._account:
            service_linked_role.ensure(self._account)
        if certificate.status == "ISSUED":
            certificate_events.available(certificate, "ISSUANCE")
        return certificate

    def delete(self, arn: str) -> bool:
        """Forget a certificate of the region in force; returns False if there is none."""
        certificate = self.find(arn)
        if certificate is None:
            return False
        certificate.deleted = True
        del self._certificates[arn]
        return True

    def forget(self) -> None:
        """Forget all of them, as a reset does: a renewal under way comes to nothing."""
        for certificate in self._certificates.values():
            certificate.deleted = True
        self._certificates.clear()


def _is_here(arn: str) -> bool:
    return arn.startswith(f"arn:aws:acm:{responses.get_region()}:{responses.get_account_id()}:")
