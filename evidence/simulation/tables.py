"""The tables, the audit log and the queue of looks in memory."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshcert.errors import IdentityUnreadable, LeaseLost, PublicationRaced
from meshcert.lifecycle.memory import Memory
from meshcert.lifecycle.ports import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.deploying.routes import PublishedRoutes
    from meshcert.errors import MeshcertError
    from meshcert.identity import Identity
    from meshcert.lifecycle.audit import AuditEntry

NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass
class Row:
    """A row of the table ``lifecycle``."""

    owner: str = ""
    until: dt.datetime = NEVER
    began: dt.datetime = NEVER
    wanted: int = 0
    look_at: dt.datetime | None = None
    memory: str = ""


class InMemoryLifecycle:
    """The table ``lifecycle``: what holds of DynamoDB's (``tests/meshcert/lifecycle/lease_claims.py``) holds of it."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def take(self, identity: str, owner: str, now: dt.datetime, until: dt.datetime) -> Lease | None:
        """UpdateItem on condition."""
        row = self.rows.setdefault(identity, Row())
        if row.owner not in {"", owner} and row.until > now:
            return None
        row.owner, row.until, row.began, row.look_at = owner, until, now, until
        return Lease(identity, owner, row.wanted, self.memory(identity))

    def looked_since(self, identity: str, time: dt.datetime) -> bool:
        """GetItem."""
        return identity in self.rows and self.rows[identity].began >= time

    def want(self, identity: str, now: dt.datetime) -> None:
        """UpdateItem, whoever has the lease."""
        row = self.rows.setdefault(identity, Row())
        row.wanted += 1
        row.look_at = now

    def save(self, lease: Lease, memory: Memory) -> None:
        """UpdateItem on condition."""
        self._own(lease).memory = memory.to_json()

    def release(self, lease: Lease, memory: Memory, look_at: dt.datetime | None, *, settled: bool = False) -> bool:
        """UpdateItem on condition."""
        del settled
        row = self._own(lease)
        row.memory, row.owner = memory.to_json(), ""
        if row.wanted != lease.wanted:
            return True
        row.look_at = look_at
        return False

    def forget(self, lease: Lease) -> None:
        """DeleteItem on condition."""
        self._own(lease)
        del self.rows[lease.identity]

    def unsettled(self, now: dt.datetime) -> Iterator[str]:
        """Query of the index."""
        due = [(row.look_at, name) for name, row in self.rows.items() if row.look_at and row.look_at <= now]
        return (name for _, name in sorted(due))

    def memory(self, identity: str) -> Memory:
        """The row of an identity."""
        row = self.rows.get(identity)
        return Memory.from_json(row.memory) if row and row.memory else Memory()

    def memories(self) -> dict[str, Memory]:
        """Scan."""
        return {name: self.memory(name) for name in self.rows}

    def _own(self, lease: Lease) -> Row:
        row = self.rows.get(lease.identity)
        if row is None or row.owner != lease.owner:
            raise LeaseLost(lease.identity)
        return row


@dataclass
class InMemoryAudit:
    """The log of actions."""

    entries: list[AuditEntry] = field(default_factory=list)

    def record(self, entry: AuditEntry) -> None:
        """PutLogEvents."""
        self.entries.append(entry)

    def told(self) -> list[tuple[str, str]]:
        """Action and outcome of each entry."""
        return [(entry.action, entry.outcome) for entry in self.entries]


@dataclass
class InMemoryMessages:
    """The queue of looks."""

    sent: list[tuple[dict[str, int], str]] = field(default_factory=list)

    def send(self, messages: Mapping[str, int], because: str) -> None:
        """SendMessageBatch."""
        self.sent.append((dict(messages), because))


class InMemoryRoutes:
    """The table ``routes``: versions, the newest first."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[PublishedRoutes, ...]] = {}
        self.error: MeshcertError | None = None

    def publish(self, routes: PublishedRoutes) -> None:
        """GetItem, then UpdateItem."""
        self._fail()
        row = self.rows.get(routes.service, ())
        kept = row[1:] if row and row[0].version == routes.version else row[:1]
        self.rows[routes.service] = (routes, *kept)

    def forget(self, service: str, owner: str) -> None:
        """DeleteItem on condition."""
        self._fail()
        if service in self.rows and self.rows[service][0].owner == owner:
            del self.rows[service]

    def _fail(self) -> None:
        if self.error:
            raise self.error


class InMemoryIdentities:
    """The table ``identities``."""

    def __init__(self) -> None:
        self.rows: dict[str, Identity] = {}
        self.unreadable: set[str] = set()

    def remember(self, identity: Identity, before: str | None = None) -> None:
        """UpdateItem, on condition if there is one."""
        row = self.rows.get(identity.name)
        if before is not None and row and row.certificate_arn not in {before, identity.certificate_arn}:
            raise PublicationRaced(identity.name, "certificate_arn")
        self.rows[identity.name] = identity
        self.unreadable.discard(identity.name)

    def reissued(self, name: str, certificate_arn: str, before: str) -> None:
        """UpdateItem on condition."""
        row = self.rows.get(name)
        if row is None or row.certificate_arn not in {before, certificate_arn}:
            raise PublicationRaced(name, "certificate_arn")
        self.rows[name] = replace(row, certificate_arn=certificate_arn, issued_by_deploy=False)

    def forget(self, name: str, owner: str) -> None:
        """DeleteItem on condition."""
        if name in self.rows and self.rows[name].owner == owner:
            del self.rows[name]

    def find(self, name: str) -> Identity | None:
        """GetItem."""
        if name in self.unreadable:
            raise IdentityUnreadable(name, "it makes no sense")
        return self.rows.get(name)

    def find_by_certificate(self, certificate_arn: str) -> Identity | None:
        """Query."""
        return next((row for row in self.rows.values() if row.certificate_arn == certificate_arn), None)

    def names(self) -> Iterator[str]:
        """Scan."""
        return iter(list(self.rows))

    def all(self) -> Iterator[Identity | IdentityUnreadable]:
        """Scan."""
        for name, identity in list(self.rows.items()):
            yield IdentityUnreadable(name, "it makes no sense") if name in self.unreadable else identity
