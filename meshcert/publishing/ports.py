"""
What the use cases need from outside: only the methods they call.

:mod:`meshcert.aws` implements these against AWS, the tests in memory. Every implementation raises the errors of
:mod:`meshcert.errors` and nothing else for what AWS answers: :class:`~meshcert.errors.AwsUnavailable` and the rest of
``NotReady`` where trying again helps, ``Rejected`` where it does not.
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


class Labels(Protocol):
    """Secrets Manager: staging labels, no way to write or read a value."""

    def labels(self, secret_id: str) -> Mapping[str, frozenset[str]]:
        """
        The staging labels of each version that has any, by version id.

        Raises:
            IdentityMissing: If there is no such secret, or it is scheduled for deletion.
        """
        ...

    def move_label(self, secret_id: str, label: str, *, to: str | None, away_from: str | None) -> None:
        """
        Move a staging label. ``AWSPREVIOUS`` follows ``AWSCURRENT`` by itself.

        Args:
            secret_id: The secret.
            label: The label.
            to: The version that gets it; None only removes it.
            away_from: The version that has it now; None if no version has.

        Raises:
            PublicationRaced: If the label is not on ``away_from``.
        """
        ...


class SecretVault(Labels, Protocol):
    """Secrets Manager: versions of secrets and their staging labels, no way to read a value."""

    def put_pending(self, secret_id: str, version_id: str, value: str) -> None:
        """
        Store a version labelled ``AWSPENDING``. A version of this id that exists already is left as it is.

        Args:
            secret_id: The secret.
            version_id: 32 to 64 characters.
            value: At most 65,536 bytes.
        """
        ...


@dataclass(frozen=True)
class CurrentValue:
    """
    What proxies read from a secret.

    Args:
        version_id: The current version.
        value: Its value; never to be logged.
    """

    version_id: str
    value: str = field(repr=False)


class PublishedValues(Protocol):
    """Secrets Manager: current values. Only the export role may read them."""

    def current_value(self, secret_id: str) -> CurrentValue:
        """
        The value labelled ``AWSCURRENT``.

        Raises:
            IdentityMissing: If there is no such secret, it has no current value, or it is scheduled for deletion.
        """
        ...


class LookMarks(Protocol):
    """The table ``lifecycle``, for who only asks that an identity be looked at."""

    def want(self, identity: str, now: dt.datetime) -> None:
        """
        Have the next tick look at an identity.

        Args:
            identity: Its name; it need not be declared any more.
            now: The time.
        """
        ...
