"""
What the lifecycle needs from outside: only the methods it calls.

As in :mod:`meshcert.publishing.ports`, implementations raise :mod:`meshcert.errors` and nothing else for what AWS
answers. None of them can reach a private key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from meshcert.clock import Clock
    from meshcert.identity import Declared
    from meshcert.issuing.issuer import IssuanceView, Issuer
    from meshcert.lifecycle.audit import AuditEntry
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Acknowledgement, Workload
    from meshcert.lifecycle.policy import Policy
    from meshcert.publishing.ports import Labels


class WorkloadPlatform(Protocol):
    """Where workloads run: the services of one cluster."""

    def news(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """
        The services that an event is about, as :meth:`identities_of` takes them; no call is made.

        Args:
            event: As EventBridge delivers it; its detail is an object. It may come from any source.
        """
        ...

    def look(self, name: str) -> Workload | None:
        """A service as it is; None if it does not exist or is being deleted."""
        ...

    def roll_out(self, name: str) -> str:
        """
        Begin a new rollout of a service, on top of whatever is under way.

        Returns:
            Its id.

        Raises:
            IdentityMissing: If there is no such service.
        """
        ...

    def stop(self, instance: str, reason: str) -> None:
        """
        Stop an instance; the platform starts another. Nothing happens when it has stopped already.

        Args:
            instance: Its id.
            reason: Shown by the platform beside the stopped instance.
        """
        ...

    def identities_of(self, service_arn: str) -> tuple[str, ...]:
        """The identities whose names the service's tags carry; empty for a service that is not ours or is gone."""
        ...


class AcknowledgementTable(Protocol):
    """The table in which instances say what they serve."""

    def of(self, service: str) -> Mapping[str, Mapping[str, Acknowledgement]]:
        """Acknowledgements by instance and identity; rows that make no sense are left out."""
        ...


class Exporter(Protocol):
    """The export function: the only one that can reach a private key."""

    def export(self, identity: str, version: str) -> str:
        """
        Have it take an identity's material out of its issuer and publish it.

        Args:
            identity: Its name.
            version: The version that the issuer was seen to hold.

        Returns:
            The version that came out; another one if it was renewed in between.

        Raises:
            ExportFailed: With the reason the function gave.
            AwsUnavailable: If the function did not answer.
        """
        ...


class Authorities(Protocol):
    """AWS Private CA."""

    def not_after(self, certificate_authority_arn: str) -> dt.datetime:
        """
        End of a CA certificate's validity. May be up to an hour old: it changes with a reissue only.

        Raises:
            IdentityMissing: If there is no such CA.
        """
        ...


@dataclass(frozen=True)
class Lease:
    """
    The right to act for an identity.

    Args:
        identity: Its name.
        owner: Who has it: the Lambda request id.
        wanted: How often others had found it taken when it was taken over.
        memory: What is remembered.
    """

    identity: str
    owner: str
    wanted: int
    memory: Memory


class LifecycleTable(Protocol):
    """
    The table ``lifecycle``: one row for each identity.

    Every write but :meth:`want` is conditional on the owner: who lost the lease by taking too long writes nothing more.
    """

    def take(self, identity: str, owner: str, now: dt.datetime, until: dt.datetime) -> Lease | None:
        """
        Take the lease and mark the identity unsettled; a row that does not exist is made.

        Args:
            identity: Its name.
            owner: Who wants it. Taking it again is allowed: a message that comes back finds its own lease.
            now: The time.
            until: When others may take it.

        Returns:
            None if somebody else has it.
        """
        ...

    def looked_since(self, identity: str, time: dt.datetime) -> bool:
        """
        Somebody has taken the lease at this time or later.

        That look has seen what had happened by then. If that look came to nothing, the identity is unsettled.
        """
        ...

    def want(self, identity: str, now: dt.datetime) -> None:
        """
        Say that somebody found the lease taken.

        The identity is unsettled then, whether its owner still has the lease or has given it back in the meantime.
        """
        ...

    def save(self, lease: Lease, memory: Memory) -> None:
        """
        Remember something while holding the lease.

        Raises:
            LeaseLost: If somebody else has it by now.
        """
        ...

    def release(self, lease: Lease, memory: Memory, look_at: dt.datetime | None) -> bool:
        """
        Give the lease back.

        Args:
            lease: The lease.
            memory: What to remember.
            look_at: When the next tick may look; None if the identity is settled. It stays unsettled nevertheless if
                somebody wanted it meanwhile.

        Returns:
            True if somebody wanted it meanwhile: what they came for has not been looked at.

        Raises:
            LeaseLost: If somebody else has it by now.
        """
        ...

    def forget(self, lease: Lease) -> None:
        """
        Delete the row of an identity that is not declared any more.

        Raises:
            LeaseLost: If somebody else has the lease by now.
        """
        ...

    def unsettled(self, now: dt.datetime) -> Iterator[str]:
        """The names of the unsettled identities that may be looked at, those due longest first, page by page."""
        ...


class Audit(Protocol):
    """The log of actions."""

    def record(self, entry: AuditEntry) -> None:
        """Write a line."""
        ...


class Messages(Protocol):
    """The queue of looks."""

    def send(self, messages: Mapping[str, int], because: str) -> None:
        """
        Have identities looked at.

        Args:
            messages: Seconds to wait, by identity; at most 900.
            because: ``tick`` or ``sweep``.
        """
        ...


@dataclass(frozen=True)
class Observers:
    """
    Where a look looks.

    Args:
        issuer: Who issues the certificates.
        labels: Secrets Manager.
        platform: Where the workloads run.
        acknowledgements: What instances say.
        authorities: AWS Private CA.
        clock: Time.
    """

    issuer: IssuanceView
    labels: Labels
    platform: WorkloadPlatform
    acknowledgements: AcknowledgementTable
    authorities: Authorities
    clock: Clock


@dataclass(frozen=True)
class Ports(Observers):
    """
    All that the renewal function works with: where it looks, what it does, and when.

    Args:
        exporter: The export function.
        declared: The declared identities.
        table: Leases and memory.
        audit: The log of actions.
        policy: When things are due.
        lease_s: Length of a lease, seconds: at least as long as the function may run.
    """

    issuer: Issuer
    exporter: Exporter
    declared: Declared
    table: LifecycleTable
    audit: Audit
    policy: Policy
    lease_s: float
