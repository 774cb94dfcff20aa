"""The ports of federation beside those of :mod:`meshcert.publishing.ports`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from meshcert.material.foreign_bundle import SHORTEST_HINT_S

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshcert.federation.endpoints import DeclaredEndpoint
    from meshcert.federation.own_bundle import OwnBundle


class BundleEndpoints(Protocol):
    """Bundle endpoints, asked with a name check and within bounds of bytes and time."""

    def fetch(self, endpoint: DeclaredEndpoint) -> bytes:
        """
        The document that an endpoint gives.

        Raises:
            BundleEndpointUnreachable: If it does not answer, or not in time.
            BundleRefused: If it is not the host that it should be, gives something else than a document, or one that
                is too long.
        """
        ...


@dataclass(frozen=True)
class FetchNote:
    """
    What is remembered of one endpoint between two looks.

    Args:
        since: When it was looked at first, UTC.
        looked_at: When it was looked at last, UTC.
        fetched_at: When it last gave a bundle that is believed, UTC; None if it never did.
        refresh_hint_s: Seconds until the next look.
        sequence: The highest ``spiffe_sequence`` that was believed; None if there was none.
        version: The secret's version for which that holds: where a deploy has published another one since, it does not.
        problem: Name of the error of the last look; empty if it went well.
    """

    trust_domain: str
    since: dt.datetime
    looked_at: dt.datetime
    fetched_at: dt.datetime | None = None
    refresh_hint_s: int = SHORTEST_HINT_S
    sequence: int | None = None
    version: str = ""
    problem: str = ""

    def hints_without(self, now: dt.datetime) -> float:
        """For how many refresh hints there has been no bundle that is believed."""
        return (now - (self.fetched_at or self.since)).total_seconds() / self.refresh_hint_s


class FetchNotes(Protocol):
    """The table of bundle fetches."""

    def find(self, trust_domain: str) -> FetchNote | None:
        """What is remembered of an endpoint; None if nothing is, or nothing that can be read."""
        ...

    def write(self, note: FetchNote) -> None:
        """Remember it."""
        ...


class StoredBundle(NamedTuple):
    """
    This mesh's own bundle where partners fetch it.

    Args:
        notes: What is remembered with it (:meth:`meshcert.federation.own_bundle.OwnBundle.notes`).
        tag: Changes with the document.
    """

    document: bytes
    notes: Mapping[str, str]
    tag: str


class FoundBundle(Protocol):
    """The place where partners fetch this mesh's own bundle, for whoever looks at it."""

    def find(self) -> StoredBundle | None:
        """What is there; None if nothing is."""
        ...


class BundleObject(FoundBundle, Protocol):
    """The same, for the one who writes it."""

    def write(self, bundle: OwnBundle, *, replaces: StoredBundle | None) -> None:
        """
        Put a bundle there.

        Args:
            replaces: What must be there still; None: nothing may be.

        Raises:
            AwsUnavailable: Also if something else is there by now.
        """
        ...
