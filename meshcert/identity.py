"""An identity: the names of one workload, the source of its material, and the services that serve it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.errors import IdentityUnreadable
    from meshcert.proxy import RotationMode
    from meshcert.san import San


class IssuerName(StrEnum):
    """Who issues an identity's certificates; the values stand in mesh files and rows."""

    ACM = "acm"
    """AWS Certificate Manager: DNS names, 395 days; it renews them by itself."""
    PRIVATE_CA = "acm-pca"
    """AWS Private CA directly, for keys of meshcert's own: DNS names and a SPIFFE ID, lives of hours or days."""


@dataclass(frozen=True)
class ServiceUse:
    """
    An ECS service that serves an identity.

    Args:
        name: Name of the service in the mesh file.
        rotation: How it takes over a new version.
        poll_interval_s: Longest time until a running task notices a new version, seconds.
        place: Where its platform runs it, in the platform's words; empty for the mesh's own place. ECS's are
            ``CLUSTER/SERVICE``.
        attached: Whether its task definition is the user's, whose tasks read their settings from a row.
    """

    name: str
    rotation: RotationMode
    poll_interval_s: float = 60.0
    place: str = ""
    attached: bool = False


IDENTITY_SCHEMA = 1
"""
Schema of an identity's row in the table ``identities``.

A new number makes every identity's custom resource run again at the next deploy, which rewrites rows of the earlier
schema. No program reads those any more.
"""


@dataclass(frozen=True)
class Identity:
    """
    The names of one workload, and where its material comes from and goes to.

    Args:
        name: Name of the identity in the mesh file.
        certificate_arn: ARN of the certificate that carries its names. With ACM, it stays for ever; Private CA gives
            each certificate another, and this is the latest.
        secret_id: ARN of the secret that holds its material.
        root_certificate_authority_arn: ARN of the root CA of its hierarchy.
        names: The names that its certificate must carry: these and no others.
        peer_rules: For each peer that checks names, the names it accepts. The certificate must have one of them.
        owner: The CloudFormation resource that declares it.
        certificate_authority_arns: ARNs of the CAs of its hierarchy, the one that signs its certificate first, the root
            last.
        services: The services that serve it, in the order of the mesh file and of a rollout.
        jobs: The jobs that take it at the start of each task; nothing waits for them, and they prove nothing.
        issuer: Who issues its certificates.
        issued_by_deploy: Whether a deploy had the certificate issued, and so perhaps those of many identities at once.
        has_existing_authority: Whether the CA is the user's: then nothing is revoked there, and its owner sees to its
            age.
    """

    name: str
    certificate_arn: str
    secret_id: str
    root_certificate_authority_arn: str
    names: tuple[San, ...]
    peer_rules: tuple[tuple[San, ...], ...] = ()
    owner: str = ""
    certificate_authority_arns: tuple[str, ...] = ()
    services: tuple[ServiceUse, ...] = ()
    jobs: tuple[str, ...] = ()
    issuer: IssuerName = IssuerName.ACM
    issued_by_deploy: bool = False
    has_existing_authority: bool = False


class Declared(Protocol):
    """The table ``identities``, read only."""

    def find(self, name: str) -> Identity | None:
        """
        An identity by its name; None if it is not declared.

        Raises:
            IdentityUnreadable: If it is declared, and its row makes no sense.
        """
        ...

    def find_by_certificate(self, certificate_arn: str) -> Identity | None:
        """The identity whose certificate has this ARN; None if there is none."""
        ...

    def names(self) -> Iterator[str]:
        """The names of all identities, page by page."""
        ...


class DeclaredAtOnce(Declared, Protocol):
    """The same, and all identities in a few calls."""

    def all(self) -> Iterator[Identity | IdentityUnreadable]:
        """All identities, page by page; in the place of one whose row makes no sense, why."""
        ...


class IdentityTable(Declared, Protocol):
    """The table ``identities``: the identities as of the latest deploy."""

    def remember(self, identity: Identity, before: str | None = None) -> None:
        """
        Write an identity's row; attributes of other programs in it stay.

        Args:
            before: The certificate that the row is believed to name; None writes whatever it names.

        Raises:
            PublicationRaced: If it names another one.
        """
        ...

    def reissued(self, name: str, certificate_arn: str, before: str) -> None:
        """
        Write that another certificate is an identity's latest now.

        Args:
            before: The one before.

        Raises:
            PublicationRaced: If the row names another certificate by now.
        """
        ...

    def forget(self, name: str, owner: str) -> None:
        """
        Delete an identity's row. Nothing happens if there is none, or if it belongs to another resource by now.

        When a resource is renamed in a template, CloudFormation creates the new one before it deletes the old one:
        the row then belongs to the new one.

        Args:
            owner: The CloudFormation resource that is deleted.
        """
        ...
