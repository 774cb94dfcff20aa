"""What is remembered of a compromised key: the certificates that nobody may serve again, and which are revoked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True)
class CompromisedCertificate:
    """
    A certificate whose key somebody else may have.

    Args:
        version: The secret version that holds it.
        serial_number: Lower-case hex; empty if the issuer never showed it to us.
        certificate_authority_arn: The CA that signed it; empty if that is not known.
        not_after: End of its validity; None if it is not known.
        revoked_at: When it was revoked; None before that.
        public_key: Hash of its public key; empty if it is not known.
    """

    version: str
    serial_number: str = ""
    certificate_authority_arn: str = ""
    not_after: dt.datetime | None = None
    revoked_at: dt.datetime | None = None
    public_key: str = ""

    @property
    def can_be_revoked(self) -> bool:
        """True if enough is known of it to revoke it."""
        return bool(self.serial_number and self.certificate_authority_arn)

    def has_ended(self, now: dt.datetime) -> bool:
        """True if it is known to have expired: nobody accepts it any more."""
        return self.not_after is not None and self.not_after <= now


@dataclass(frozen=True)
class KeyCompromise:
    """
    What an operator said about an identity's key, and what has become of it.

    Args:
        by: Who said so: SQS's SenderId.
        reason: The operator's own words.
        at: When it was taken up.
        certificates: The certificates that go with it.
        earlier_at: When the one before was taken up; None if there was none.
        left_at: When every instance that the platform wants to run was first seen to serve another key; None before
            that. Others may still be ending.
    """

    by: str
    reason: str
    at: dt.datetime
    certificates: tuple[CompromisedCertificate, ...]
    earlier_at: dt.datetime | None = None
    left_at: dt.datetime | None = None

    def has(self, version: str) -> bool:
        """True if the key of a version is compromised."""
        return any(each.version == version for each in self.certificates)

    def outstanding(self, now: dt.datetime) -> tuple[CompromisedCertificate, ...]:
        """The certificates that are still to be revoked."""
        return tuple(
            each
            for each in self.certificates
            if each.can_be_revoked and each.revoked_at is None and not each.has_ended(now)
        )

    def revoked(self, serial_number: str, at: dt.datetime) -> KeyCompromise:
        """A copy in which a certificate is revoked."""
        certificates = tuple(
            replace(each, revoked_at=at) if each.serial_number == serial_number else each for each in self.certificates
        )
        return replace(self, certificates=certificates)
