"""
The ports of the lifecycle: only the methods that it calls.

As in :mod:`meshcert.publishing.ports`, implementations raise only :mod:`meshcert.errors` for an answer of AWS. None of
them can reach a private key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Mapping

    from meshcert.clock import Clock
    from meshcert.identity import Declared, IssuerName
    from meshcert.issuing.issuer import IssuanceView, Issuer
    from meshcert.lifecycle.audit import AuditEntry
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Acknowledgement, Workload
    from meshcert.lifecycle.policy import Policy
    from meshcert.publishing.ports import Labels


class WorkloadPlatform(Protocol):
    """
    The platform that runs the workloads.

    A service is known by its name in the mesh file, and by its place (:class:`meshcert.identity.ServiceUse`).
    """

    def news(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """
        The services that an event is about, as :meth:`identities_of` takes them; makes no call.

        Args:
            event: As EventBridge delivers it, with an object as its detail. It may come from any source.
        """
        ...

    def look(self, name: str, place: str = "") -> Workload | None:
        """The present state of a service; None if it does not exist or is being deleted."""
        ...

    def ending(self, name: str, place: str = "") -> tuple[str, ...]:
        """The instances of a service that are told to end, and whose containers may still run; none if it is gone."""
        ...

    def roll_out(self, name: str, place: str = "") -> str:
        """
        Begin a new rollout of a service, even if another one is under way.

        Returns:
            The rollout's id.

        Raises:
            IdentityMissing: If there is no such service.
        """
        ...

    def identities_of(self, service_arn: str) -> tuple[str, ...]:
        """The identities named in a service's tags; none for a service that is not of this mesh or is gone."""
        ...


class AcknowledgementTable(Protocol):
    """The table in which instances report what they serve."""

    def of(self, service: str, instances: Collection[str]) -> Mapping[str, Mapping[str, Acknowledgement]]:
        """
        Acknowledgements of these instances, by instance and identity; rows that make no sense are left out.

        Args:
            instances: Those that the platform lists; rows of others may be anybody's, and are not read.
        """
        ...


class SettingsTable(Protocol):
    """The table in which instances of attached services find their settings."""

    def version(self, service: str) -> str:
        """The version of the settings that new instances of a service read; empty if there is none."""
        ...


class Exporter(Protocol):
    """The export function, the only one that can reach a private key."""

    def export(self, identity: str, version: str) -> str:
        """
        Have an identity's material exported from its issuer and published.

        Args:
            version: The version that the issuer held when it was last looked at.

        Returns:
            The version that was exported: another one if the issuer has renewed the certificate meanwhile.

        Raises:
            ExportFailed: With the reason the function gave.
            AwsUnavailable: If the function did not answer.
        """
        ...


class Authorities(Protocol):
    """AWS Private CA."""

    def not_after(self, certificate_authority_arn: str) -> dt.datetime:
        """
        End of a CA certificate's validity. May be up to an hour old: only a reissue changes it.

        Raises:
            IdentityMissing: If there is no such CA.
        """
        ...


class RevokingAuthorities(Authorities, Protocol):
    """AWS Private CA, as far as it revokes."""

    def revoke(self, certificate_authority_arn: str, serial_number: str) -> None:
        """
        Revoke a certificate because its key is compromised. One that is revoked already counts as revoked now.

        Args:
            certificate_authority_arn: The CA that has signed it.
            serial_number: Lower-case hex, whole bytes.

        Raises:
            IdentityMissing: If there is no such CA, or it has signed no such certificate.
            AwsRefused: If the CA is deleted or disabled, or the right is missing.
        """
        ...


@dataclass(frozen=True)
class Lease:
    """
    The right to act for an identity.

    Args:
        owner: The holder's Lambda request id.
        wanted: How often others had found the lease taken, up to when it was taken over.
        memory: The memory of the identity.
    """

    identity: str
    owner: str
    wanted: int
    memory: Memory


class LifecycleTable(Protocol):
    """
    The table ``lifecycle``: one row for each identity.

    Every write except :meth:`want` requires the lease: a run that lost its lease by taking too long can write nothing
    more.
    """

    def take(self, identity: str, owner: str, now: dt.datetime, until: dt.datetime) -> Lease | None:
        """
        Take the lease and mark the identity unsettled; a missing row is created.

        Args:
            owner: Who takes it. An owner may take its own lease again, as a repeated message does.
            until: When others may take the lease.

        Returns:
            The lease; None if another owner has it.
        """
        ...

    def looked_since(self, identity: str, time: dt.datetime) -> bool:
        """
        True if the lease was taken at this time or later.

        The look that took it has seen everything up to then. If that look failed, the identity is still unsettled.
        """
        ...

    def want(self, identity: str, now: dt.datetime) -> None:
        """
        Record that a look found the lease taken.

        This marks the identity unsettled, whether the owner still holds the lease or has given it back meanwhile.
        """
        ...

    def save(self, lease: Lease, memory: Memory) -> None:
        """
        Write an identity's memory while holding its lease.

        Raises:
            LeaseLost: If another owner has the lease by now.
        """
        ...

    def release(self, lease: Lease, memory: Memory, look_at: dt.datetime | None, *, settled: bool = False) -> bool:
        """
        Write the memory and give the lease back.

        Args:
            look_at: When the next tick may look; None if a sweep is soon enough. Even then it stays unsettled if
                another look wanted it meanwhile.
            settled: All is well until then; the tick only has to see that something is due.

        Returns:
            True if another look wanted the identity meanwhile: it still has to be made.

        Raises:
            LeaseLost: If another owner has the lease by now.
        """
        ...

    def forget(self, lease: Lease) -> None:
        """
        Delete the row of an identity that is no longer declared.

        Raises:
            LeaseLost: If another owner has the lease by now.
        """
        ...

    def unsettled(self, now: dt.datetime) -> Iterator[str]:
        """The identities that a tick may look at now: unsettled ones first, those due longest first, page by page."""
        ...


class Audit(Protocol):
    """The audit log: a line for each action."""

    def record(self, entry: AuditEntry) -> None:
        """Write a line."""
        ...


class Messages(Protocol):
    """The queue of looks."""

    def send(self, messages: Mapping[str, int], because: str) -> None:
        """
        Send a look for each identity.

        Args:
            messages: Delay of each identity's look, seconds; at most 900.
            because: ``tick`` or ``sweep``.
        """
        ...


@dataclass(frozen=True)
class Observers:
    """
    The ports that a look reads from.

    Args:
        issuers: Each issuer, by the name that identities have for it.
    """

    issuers: Mapping[IssuerName, IssuanceView]
    labels: Labels
    platform: WorkloadPlatform
    acknowledgements: AcknowledgementTable
    authorities: Authorities
    settings: SettingsTable
    clock: Clock


@dataclass(frozen=True)
class Ports(Observers):
    """
    The ports and settings of the renewal function.

    Args:
        table: Leases and memory.
        policy: Thresholds and intervals.
        lease_s: Length of a lease, seconds: at least as long as the function may run.
    """

    issuers: Mapping[IssuerName, Issuer]
    authorities: RevokingAuthorities
    exporter: Exporter
    declared: Declared
    table: LifecycleTable
    audit: Audit
    policy: Policy
    lease_s: float
