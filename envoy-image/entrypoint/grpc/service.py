"""
A gRPC service as the server sees it: for each method, a function that makes one :class:`Stream` for each call.

A service with a unary method and one that goes on answering until the client leaves::

    services = {
        "/weather.Station/Read": lambda metadata, peer: Unary(read),
        "/weather.Station/Watch": lambda metadata, peer: Watch(metadata.get("language"), peer.uid),
    }
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from entrypoint.grpc.framing import CallEnded, Status
from entrypoint.grpc.socket import Peer


class Stream(Protocol):
    """
    One call, until it ends.

    The server sends the messages that a method returns, in their order. The call stays open, even after the client's
    last request, until a method raises :class:`~entrypoint.grpc.framing.CallEnded` or the client leaves. What a method
    has yielded before it raises is still sent. A :class:`~entrypoint.grpc.wire.WireFault` ends the call as an invalid
    argument. All methods are called from the server's thread and must not block.
    """

    @property
    def awaits_request(self) -> bool:
        """True while the client owes a request. It is disconnected if that takes longer than the socket's patience."""

    def receive(self, message: bytes) -> Iterable[bytes]:
        """Take one request."""

    def half_close(self) -> Iterable[bytes]:
        """Note that the client has sent its last request. With a single request, that is said together with it."""

    def update(self) -> Iterable[bytes]:
        """Note that something may have changed: the server was woken. This may come before the first request."""


Method = Callable[[Mapping[str, str], Peer], Stream]
"""
Makes the stream of one call, or raises :class:`~entrypoint.grpc.framing.CallEnded` to refuse it at once.

It is given the call's metadata, names in lower case, and the process that calls.
"""

Services = Mapping[str, Method]
"""Methods by path: ``/package.Service/Method``."""


class Unary:
    """
    A call with one request and one response.

    Args:
        respond: Makes the response; may raise what a :class:`Stream` may raise.
    """

    awaits_request = True

    def __init__(self, respond: Callable[[bytes], bytes]) -> None:
        self._respond = respond
        self._request: bytes | None = None

    def receive(self, message: bytes) -> Iterable[bytes]:
        """See :meth:`Stream.receive`."""
        if self._request is not None:
            raise CallEnded(Status.INVALID_ARGUMENT, "this method takes one request")
        self._request = message
        return ()

    def half_close(self) -> Iterable[bytes]:
        """See :meth:`Stream.half_close`."""
        if self._request is None:
            raise CallEnded(Status.INVALID_ARGUMENT, "this method takes one request")
        yield self._respond(self._request)
        raise CallEnded(Status.OK)

    def update(self) -> Iterable[bytes]:
        """See :meth:`Stream.update`."""
        return ()
