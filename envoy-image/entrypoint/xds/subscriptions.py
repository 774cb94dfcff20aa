"""
One stream of an xDS client: what it asks for, what it was sent, and its answers.

A new stream is sent everything, even if the client says that it has that version already: it is cheap for Envoy to see
that nothing has changed, and this watcher does not know what an earlier one sent.

Both variants follow the rules of https://www.envoyproxy.io/docs/envoy/v1.40.0/api-docs/xds_protocol.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from entrypoint.grpc.framing import CallEnded, Status
from entrypoint.grpc.service import Unary
from entrypoint.xds.messages import (
    named_resource,
    read_delta_request,
    read_request,
    write_delta_response,
    write_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.grpc.service import Services
    from entrypoint.grpc.socket import Peer
    from entrypoint.xds.resources import ResourceStore, ResourceType, VersionedResource

_ALL = "*"
_MOST_UNANSWERED = 16
"""Most responses that wait for an ACK or NACK; if a client never sends one, older responses are forgotten."""


def discovery_services(
    store: ResourceStore, is_envoy: Callable[[Peer], bool], on_unknown: Callable[[str], object]
) -> Services:
    """
    Return the methods by which clients get the resources of a store: stream, delta and fetch.

    Args:
        is_envoy: True if a client is Envoy, whose ACKs and NACKs count. Others only read.
        on_unknown: Called with every name that a client asks for and that does not exist.
    """
    path, plural = f"/{store.type.service}/", store.type.plural

    def stream(variant: type[Subscription], _metadata: Mapping[str, str], peer: Peer) -> Subscription:
        return variant(store, is_envoy=is_envoy(peer), on_unknown=on_unknown)

    return {
        f"{path}Stream{plural}": partial(stream, StateOfTheWorld),
        f"{path}Delta{plural}": partial(stream, Delta),
        f"{path}Fetch{plural}": lambda _metadata, _peer: Unary(partial(fetch, store, on_unknown)),
    }


class Subscription(ABC):
    """
    One stream of a client; implements :class:`entrypoint.grpc.service.Stream`.

    Args:
        is_envoy: True if this client's ACKs and NACKs count.
        on_unknown: Called with every name that the client asks for and that does not exist.
    """

    awaits_request = False

    def __init__(self, store: ResourceStore, *, is_envoy: bool, on_unknown: Callable[[str], object]) -> None:
        self._store = store
        self._is_envoy = is_envoy
        self._on_unknown = on_unknown
        # By the names that the client uses:
        self._names: dict[str, str] = {}
        self._sent: dict[str, VersionedResource] = {}
        self._acknowledged: dict[str, VersionedResource] = {}
        self._refused: dict[str, VersionedResource] = {}
        self._unanswered: dict[str, dict[str, VersionedResource]] = {}
        self._nonce = 0
        self._begun = False

    @abstractmethod
    def receive(self, message: bytes) -> list[bytes]:
        """
        Take one request, and return the responses to send.

        Raises:
            WireFault: If it cannot be read.
            CallEnded: If it asks for another type of resource.
        """

    @abstractmethod
    def update(self) -> list[bytes]:
        """Return the responses to send because the store has changed."""

    def half_close(self) -> list[bytes]:
        """End the call: a client that sends nothing more can acknowledge nothing more."""
        raise CallEnded(Status.OK)

    def _subscribe(self, names: Iterable[str]) -> None:
        for asked in names:
            if name := self._store.name_of(asked):
                self._names[asked] = name
            else:
                self._on_unknown(asked)

    def _note_answer(self, nonce: str, refusal: str | None) -> None:
        """Note an ACK, or a NACK with the client's reason."""
        for asked, resource in self._unanswered.pop(nonce, {}).items():
            name = self._store.name_of(asked)
            if refusal is None:
                self._acknowledged[asked] = resource
                if self._is_envoy:
                    self._store.acknowledge(name, resource)
                continue
            self._refused[asked] = resource
            if self._sent.get(asked) == resource and asked in self._acknowledged:
                self._sent[asked] = self._acknowledged[asked]  # it keeps that
            if self._is_envoy:
                self._store.refuse(name, resource, refusal)

    def _to_send(self) -> dict[str, VersionedResource]:
        """The resources that this client has neither been sent nor refused."""
        found = {}
        for asked, name in self._names.items():
            resource = self._store.offered(name)
            if resource and resource != self._sent.get(asked) and resource != self._refused.get(asked):
                found[asked] = resource
        return found

    def _note_sent(self, resources: dict[str, VersionedResource]) -> str:
        """Note what is being sent, and return the nonce for it."""
        self._nonce += 1
        self._sent |= resources
        self._unanswered[str(self._nonce)] = resources
        if len(self._unanswered) > _MOST_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]
        return str(self._nonce)


class StateOfTheWorld(Subscription):
    """A stream whose responses hold everything it is about; Envoy has one for each resource."""

    _wants_all = False

    def receive(self, message: bytes) -> list[bytes]:
        """Take one ``DiscoveryRequest``; see :meth:`Subscription.receive`."""
        request = read_request(message)
        check_type(self._store.type, request.type_url)
        if request.nonce:
            self._note_answer(request.nonce, request.refusal)
            if request.nonce != str(self._nonce):
                return []  # it was written before the last response arrived; what it asks for may be out of date
        self._wants_all = self._wants_all or not (request.names or self._begun)
        names = self._store.names if self._wants_all else request.names
        self._begun = True
        self._names = {asked: self._names[asked] for asked in names if asked in self._names}
        self._subscribe(asked for asked in names if asked not in self._names)
        return self.update()

    def update(self) -> list[bytes]:
        """See :meth:`Subscription.update`."""
        if not self._to_send():
            return []
        resources = {asked: resource for asked, name in self._names.items() if (resource := self._store.offered(name))}
        nonce = self._note_sent(resources)
        return [write_response(self._store.type.url, version_of(resources), nonce, _named(self._store, resources))]


class Delta(Subscription):
    """A stream whose responses hold what has changed."""

    def receive(self, message: bytes) -> list[bytes]:
        """Take one ``DeltaDiscoveryRequest``; see :meth:`Subscription.receive`."""
        request = read_delta_request(message)
        check_type(self._store.type, request.type_url)
        if request.nonce:
            self._note_answer(request.nonce, request.refusal)
        for asked in request.unsubscribe:
            for kept in (self._names, self._sent, self._acknowledged, self._refused):
                kept.pop(asked, None)
        names = request.subscribe
        if _ALL in names or not (names or self._begun):
            names = (*(name for name in names if name != _ALL), *self._store.names)
        for asked in names:
            self._sent.pop(asked, None)  # a client that subscribes again has lost it
        self._begun = True
        self._subscribe(names)
        return self.update()

    def update(self) -> list[bytes]:
        """See :meth:`Subscription.update`."""
        resources = self._to_send()
        if not resources:
            return []
        versions = [resource.version for resource in resources.values()]
        named = zip(resources, versions, _named(self._store, resources), strict=True)
        nonce = self._note_sent(resources)
        return [write_delta_response(self._store.type.url, version_of(resources), nonce, named)]


def fetch(store: ResourceStore, on_unknown: Callable[[str], object], message: bytes) -> bytes:
    """
    Answer one ``DiscoveryRequest``, outside a stream, with one ``DiscoveryResponse``.

    Raises:
        WireFault: If the request cannot be read.
        CallEnded: If it asks for another type of resource, or for a resource that is not offered yet.
    """
    request = read_request(message)
    check_type(store.type, request.type_url)
    resources = {}
    for asked in request.names or store.names:
        if not (name := store.name_of(asked)):
            on_unknown(asked)
        elif resource := store.offered(name):
            resources[asked] = resource
        else:
            raise CallEnded(Status.UNAVAILABLE, f"{name} is not there yet")
    return write_response(store.type.url, version_of(resources), "", _named(store, resources))


def check_type(kind: ResourceType, url: str) -> None:
    """Raise CallEnded if a request names another type; it may name none."""
    if url not in {"", kind.url}:
        raise CallEnded(Status.INVALID_ARGUMENT, f"{kind.service} has {kind.url} only")


def version_of(resources: dict[str, VersionedResource]) -> str:
    """Return one version for all: that of a single resource, or else a SHA-256 over all names and versions."""
    if len(resources) == 1:
        return next(iter(resources.values())).version
    text = "".join(f"{asked}={resources[asked].version}\n" for asked in sorted(resources))
    return sha256(text.encode()).hexdigest()


def _named(store: ResourceStore, resources: dict[str, VersionedResource]) -> list[bytes]:
    return [named_resource(store.type.url, asked, resource.body) for asked, resource in resources.items()]
