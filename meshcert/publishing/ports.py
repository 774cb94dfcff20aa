"""
The ports of publishing: only the methods that its use cases call.

:mod:`meshcert.aws` implements them on AWS, the tests in memory. For an answer of AWS, every implementation raises only
errors of :mod:`meshcert.errors`: a ``NotReady``, such as :class:`~meshcert.errors.AwsUnavailable`, where trying again
helps, and a ``Rejected`` where it does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping


class CertificateAuthorities(Protocol):
    """AWS Private CA."""

    def certificate(self, certificate_authority_arn: str) -> str:
        """
        A CA's own certificate, PEM.

        Raises:
            IdentityMissing: If there is no such CA.
        """
        ...

    def chain(self, certificate_authority_arn: str) -> tuple[str, ...]:
        """
        A CA's own certificate, and those of its issuers up to the root, PEM.

        Raises:
            IdentityMissing: If there is no such CA.
        """
        ...

    def root(self, certificate_authority_arn: str) -> str:
        """
        The root certificate in which a CA's chain ends, PEM; a root CA's own.

        Raises:
            IdentityMissing: If there is no such CA.
            RootNotDeclared: If the CA is the user's, and the mesh file names another root for it.
        """
        ...


class Labels(Protocol):
    """Secrets Manager: reads and moves staging labels; cannot read or write a value."""

    def labels(self, secret_id: str) -> Mapping[str, frozenset[str]]:
        """
        The staging labels of every version that has at least one, by version id.

        Raises:
            IdentityMissing: If there is no such secret, or it is scheduled for deletion.
        """
        ...

    def move_label(self, secret_id: str, label: str, *, to: str | None, away_from: str | None) -> None:
        """
        Move a staging label. ``AWSPREVIOUS`` follows ``AWSCURRENT`` by itself.

        Args:
            to: The version that gets the label; None only removes it.
            away_from: The version that has the label now; None if no version has it.

        Raises:
            PublicationRaced: If the label is not on ``away_from``.
        """
        ...


class SecretVault(Labels, Protocol):
    """Secrets Manager: writes versions and moves staging labels; cannot read a value."""

    def put_pending(self, secret_id: str, version_id: str, value: str) -> None:
        """
        Store a version labelled ``AWSPENDING``. A version with this id that exists already stays as it is.

        Args:
            version_id: 32 to 64 characters.
            value: At most 65,536 bytes.
        """
        ...


@dataclass(frozen=True)
class CurrentValue:
    """
    The current value of a secret, which proxies read.

    Args:
        value: Never to be logged.
    """

    version_id: str
    value: str = field(repr=False)


class PublishedValues(Protocol):
    """Secrets Manager: reads current values, which only the export role and the verify role may."""

    def current_value(self, secret_id: str) -> CurrentValue:
        """
        The value labelled ``AWSCURRENT``.

        Raises:
            IdentityMissing: If there is no such secret, it has no current value, or it is scheduled for deletion.
        """
        ...


class LookMarks(Protocol):
    """The table ``lifecycle``, for callers that only request a look at an identity."""

    def want(self, identity: str, now: dt.datetime) -> None:
        """
        Request a look at an identity at the next tick.

        Args:
            identity: The identity's name. The identity may have been removed from the mesh.
        """
        ...
