"""
The epochs of an identity as they are stored, and the table that keeps them.

An *epoch* follows one certificate: it ends when another one has taken its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.issuing.certificate_request import CertificateRequest

FIRST = "first"
"""What the first epoch of an identity replaces."""


@dataclass(frozen=True)
class Epoch:
    """
    What is stored of an epoch, without the request.

    Args:
        identity: Name of the identity.
        replaces: ARN of the certificate that it replaces; :data:`FIRST` if there was none.
        number: Number of its request: 1, and one more each time that a request was dropped for a new one.
        asked_at: When its request was made, or was last sent with the risk of paying twice; refusals do not count.
        asked: How many certificates may have been paid for in this epoch.
        certificate_arn: ARN of the certificate; empty as long as it is not known.
        published: The certificate was published, and its request deleted.
    """

    identity: str
    replaces: str
    number: int
    asked_at: dt.datetime
    asked: int
    certificate_arn: str = ""
    published: bool = False


class Epochs(Protocol):
    """The table ``issuances``, which the export role alone can read. Keys are encrypted in it."""

    def of(self, identity: str) -> tuple[Epoch, ...]:
        """The epochs of an identity that are stored: those of the last day, and any whose certificate lives."""
        ...

    def begin(self, request: CertificateRequest, epoch: Epoch, dropping: int) -> bool:
        """
        Store a request with its key.

        Args:
            dropping: Number of the request that it takes the place of; 0 if there is none.

        Returns:
            False if another run was quicker.
        """
        ...

    def request(self, epoch: Epoch) -> CertificateRequest:
        """
        The stored request of an epoch, with its key.

        Raises:
            CertificateRequestInvalid: If there is none any more, or it makes no sense.
        """
        ...

    def ask_again(self, epoch: Epoch, now: dt.datetime) -> bool:
        """Count one more certificate that may be paid for; False if another run has just done so."""
        ...

    def not_issued(self, epoch: Epoch, asked_at: dt.datetime) -> None:
        """
        Take back what was counted last: Private CA has said that it issues nothing, or was not reached.

        Args:
            asked_at: When a certificate was asked for before that; so long ago that the next one is counted.
        """
        ...

    def issued(self, epoch: Epoch, certificate_arn: str) -> None:
        """Write which certificate came of an epoch's request."""
        ...

    def forget_request(self, epoch: Epoch) -> None:
        """Delete the request and the key of an epoch whose certificate was published; what was counted stays."""
        ...
