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

    from meshcert.material import Material, Passphrase
    from meshcert.proxy import Rotation


@dataclass(frozen=True)
class IssuedCertificate:
    """
    What ACM shows of an issued certificate without exporting it.

    Args:
        certificate: The leaf, PEM.
        certificate_chain: Its issuers, PEM.
        renewable: ACM's ``RenewalEligibility``. False after issuance and after every renewal, until the certificate
            has been exported: ACM then neither renews it by itself nor when asked.
    """

    certificate: str
    certificate_chain: str
    renewable: bool


@dataclass(frozen=True)
class ServiceUse:
    """
    An ECS service that serves an identity.

    Args:
        name: Name of the service.
        rotation: How it takes a new version over.
        poll_interval_s: Longest time until a running task notices a new version, seconds.
    """

    name: str
    rotation: Rotation
    poll_interval_s: float = 60.0


IDENTITY_SCHEMA = 1
"""
Of an identity's row in the table ``identities``. A new number has every identity's custom resource run again at the
next deploy, so that rows of the schema before, which nobody reads any more, are written anew.
"""


@dataclass(frozen=True)
class Identity:
    """
    The names one workload proves, and where its material comes from and goes to.

    Args:
        name: Name of the identity in the mesh file.
        certificate_arn: The ACM certificate that carries its names.
        secret_id: ARN of the secret that holds its material.
        root_certificate_authority_arn: The root CA of its hierarchy.
        names: DNS names its certificate must carry, exactly these.
        peer_rules: For every peer that checks names: the names it accepts, of which the certificate must have one.
        owner: The CloudFormation resource that declares it.
        certificate_authority_arns: The CAs of its hierarchy: the one that signs its certificate first, the root last.
        services: The services that serve it, in the mesh file's order: a rollout takes one after the other.
    """

    name: str
    certificate_arn: str
    secret_id: str
    root_certificate_authority_arn: str
    names: tuple[str, ...]
    peer_rules: tuple[tuple[str, ...], ...] = ()
    owner: str = ""
    certificate_authority_arns: tuple[str, ...] = ()
    services: tuple[ServiceUse, ...] = ()


class CertificateStore(Protocol):
    """ACM."""

    def look(self, certificate_arn: str) -> IssuedCertificate:
        """
        What ACM holds now.

        Raises:
            CertificatePending: If it is not issued yet.
            CertificateUnusable: If it failed, is revoked or has expired.
            IdentityMissing: If there is no such certificate.
        """
        ...

    def export(self, certificate_arn: str, passphrase: Passphrase) -> Material:
        """
        Take certificate, chain and private key out of ACM; it can be renewed from then on.

        Args:
            certificate_arn: The certificate.
            passphrase: Encrypts the private key.

        Raises:
            CertificatePending: If it is not issued yet.
            IdentityMissing: If there is no such certificate.
        """
        ...


class CertificateAuthorities(Protocol):
    """AWS Private CA."""

    def certificate(self, certificate_authority_arn: str) -> str:
        """
        A CA's own certificate, PEM.

        Raises:
            IdentityMissing: If there is no such CA.
        """
        ...


class SecretVault(Protocol):
    """Secrets Manager: versions of secrets and their staging labels, no way to read a value."""

    def labels(self, secret_id: str) -> Mapping[str, frozenset[str]]:
        """
        The staging labels of each version that has any, by version id.

        Raises:
            IdentityMissing: If there is no such secret, or it is scheduled for deletion.
        """
        ...

    def put_pending(self, secret_id: str, version_id: str, value: str) -> None:
        """
        Store a version labelled ``AWSPENDING``. A version of this id that exists already is left as it is.

        Args:
            secret_id: The secret.
            version_id: 32 to 64 characters.
            value: At most 65,536 bytes.
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


class IdentityTable(Protocol):
    """The table ``identities``: what this function knows beyond one deploy."""

    def remember(self, identity: Identity) -> None:
        """Write an identity's row; attributes that other programs keep in it stay."""
        ...

    def forget(self, name: str, owner: str) -> None:
        """
        Delete an identity's row. Nothing happens when there is none, or when it belongs to another resource by now.

        When a resource is renamed in a template, CloudFormation creates the new one before it deletes the old one:
        the row is then the new one's.

        Args:
            name: Name of the identity.
            owner: The CloudFormation resource that goes.
        """
        ...

    def find(self, name: str) -> Identity | None:
        """An identity by its name."""
        ...

    def find_by_certificate(self, certificate_arn: str) -> Identity | None:
        """The identity whose certificate this is."""
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


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> dt.datetime:
        """The time, aware, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. Only the wait for a fresh deployment calls this; see :mod:`meshcert.custom_resource`."""
        ...
