"""
The resources of one type that Envoy is offered, and its answer to each. In memory only.

The thread that rotates and the thread that serves share a :class:`ResourceStore` and nothing else. Every call takes
microseconds, so neither waits for the other.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LONGEST_REASON = 500
"""Most characters that are kept of Envoy's reason for a refusal."""


def _no_aliases(_names: tuple[str, ...]) -> Mapping[str, str]:
    return {}


class ResourceType(NamedTuple):
    """
    A type of xDS resource, with what is common to all its resources.

    Args:
        url: URL of the protobuf type, with ``type.googleapis.com/``.
        service: The gRPC service that serves it, with its package.
        plural: Ends the names of the service's methods, as ``Secrets`` in ``StreamSecrets``.
        aliases: Other names that clients may ask for, with the name that each stands for.
    """

    url: str
    service: str
    plural: str
    aliases: Callable[[tuple[str, ...]], Mapping[str, str]] = _no_aliases


class VersionedResource(NamedTuple):
    """
    One version of one resource; ``repr`` shows the version alone.

    Args:
        version: Two resources with the same version may differ; the newer one is then sent and judged again.
        body: Its protobuf message without the name (field 1), because each client gets it under the name it asked for.
    """

    version: str
    body: bytes

    def __repr__(self) -> str:
        return f"<VersionedResource {self.version}>"


class ResourceStatus(NamedTuple):
    """
    Envoy's answer to a resource.

    Args:
        acknowledged: True if Envoy applied it (an ACK), False if Envoy refused it (a NACK).
        reason: Why Envoy refused it, in its own words; may be empty.
    """

    acknowledged: bool
    reason: str = ""


class ResourceStore:
    """
    The resources of one type that one proxy is offered.

    When Envoy refuses a version, the last one that it acknowledged is offered again at once.

    Args:
        names: All names that exist; their resources may come later.
    """

    def __init__(self, kind: ResourceType, names: Iterable[str]) -> None:
        self.type = kind
        self.names = tuple(names)
        self._asked_as = {**kind.aliases(self.names), **{name: name for name in self.names}}
        self._lock = Lock()
        self._offered: dict[str, VersionedResource] = {}
        self._last_good: dict[str, VersionedResource] = {}
        self._refused: dict[str, tuple[VersionedResource, str]] = {}
        self._on_change: Callable[[], object] = bool

    def name_of(self, asked: str) -> str:
        """Return the name of the resource that a client asks for by this name or alias; empty if there is none."""
        return self._asked_as.get(asked, "")

    def on_change(self, call: Callable[[], object]) -> None:
        """Have this called after every :meth:`offer`, in the thread that offers."""
        self._on_change = call

    def offer(self, name: str, resource: VersionedResource) -> None:
        """Offer this from now on; if Envoy has refused it before, that is forgotten."""
        with self._lock:
            self._offered[name] = resource
            if name in self._refused and self._refused[name][0] == resource:
                del self._refused[name]
        self._on_change()

    def withdraw(self, name: str) -> None:
        """Offer nothing under this name: Envoy keeps what it has."""
        with self._lock:
            self._offered.pop(name, None)

    def offered(self, name: str) -> VersionedResource | None:
        """Return what is offered; None if nothing is."""
        with self._lock:
            return self._offered.get(name)

    def status(self, name: str, version: str = "") -> ResourceStatus | None:
        """
        Return Envoy's answer to this version since it was offered; None if there is none yet.

        Args:
            version: If empty, any version counts, and an ACK takes precedence over a NACK.
        """
        with self._lock:
            good = self._last_good.get(name)
            if good and (not version or (good.version == version and good == self._offered.get(name))):
                return ResourceStatus(acknowledged=True)
            if name in self._refused:
                refused, reason = self._refused[name]
                if version in {"", refused.version}:
                    return ResourceStatus(acknowledged=False, reason=reason)
            return None

    def acknowledge(self, name: str, resource: VersionedResource) -> None:
        """Note that Envoy has applied this."""
        with self._lock:
            self._last_good[name] = resource

    def refuse(self, name: str, resource: VersionedResource, reason: str) -> None:
        """Note that Envoy has refused this, and offer the last good version again if there is one."""
        with self._lock:
            self._refused[name] = resource, " ".join(reason.split())[:LONGEST_REASON]
            if self._offered.get(name) != resource:
                return
            if good := self._last_good.get(name):
                self._offered[name] = good
            else:
                del self._offered[name]
