"""The endpoints of one backend: the second kind of resource that is delivered to Envoy, after secrets."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from entrypoint.envoy.handover import EnvoyResource
from entrypoint.log import iso_time
from meshcert.envoy.endpoints import endpoints_resource

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Sequence

    from entrypoint.envoy.handover import Handover
    from meshcert.envoy.endpoints import TaskAddress
    from meshcert.proxy import Backend


class FoundBy(StrEnum):
    """Who named the tasks that Envoy knows."""

    NOBODY = ""
    """Nobody yet, or an earlier watcher knew."""
    API = "Cloud Map"
    DNS = "DNS"


class BackendEndpoints:
    """
    The endpoints of one backend: the last good answer, which stays when there is no new one.

    Args:
        handover: Takes it to Envoy. No verdict is awaited: Envoy can refuse only what is no address, and then keeps
            what it has.
    """

    def __init__(self, backend: Backend, handover: Handover) -> None:
        self.backend = backend
        self.found_by = FoundBy.NOBODY
        self.tasks: tuple[TaskAddress, ...] = ()
        self.closed: frozenset[TaskAddress] = frozenset()
        """Those that have not been seen to accept connections; what was once open is Envoy's to judge."""
        self._handover = handover
        self._told = ""

    def take(self, tasks: Sequence[TaskAddress], found_by: FoundBy, now: float) -> bool:
        """
        Hand an answer to Envoy, unless it has it already; an empty one too: then the backend has no task.

        Args:
            now: Seconds since 1970, UTC; Envoy shows it as the version.

        Returns:
            True if Envoy's tasks are others now.

        Raises:
            OSError: If it cannot be handed over; the answer before stays.
        """
        changed = self.found_by is FoundBy.NOBODY or tuple(tasks) != self.tasks
        closed = frozenset(tasks) - (frozenset(self.tasks) - self.closed)
        if changed:
            self.put(tasks, iso_time(now), closed)
        self.tasks, self.closed, self.found_by = tuple(tasks), closed, found_by
        return changed

    def open(self, tasks: Collection[TaskAddress], now: float) -> None:
        """
        Tell Envoy which tasks have begun to accept connections.

        Args:
            tasks: Those among :attr:`closed`; without any, nothing is said.
            now: As for :meth:`take`.

        Raises:
            OSError: If it cannot be handed over; they stay closed.
        """
        if tasks:
            closed = self.closed - frozenset(tasks)
            self.put(self.tasks, iso_time(now), closed)
            self.closed = closed

    def put(self, tasks: Sequence[TaskAddress], version: str = "none", closed: Container[TaskAddress] = ()) -> None:
        """Hand these to Envoy, and remember nothing; raises OSError if that fails."""
        body = endpoints_resource(self.backend.name, self.backend.port, tasks, closed)
        self._handover.put(self.backend.name, EnvoyResource(version, body))

    def complain(self, reason: str) -> bool:
        """Note why there is no answer; True if that is new and must be logged."""
        news = reason != self._told
        self._told = reason
        return news

    def settle(self) -> bool:
        """Note that there is an answer; True if trouble was logged before."""
        recovered = bool(self._told)
        self._told = ""
        return recovered
