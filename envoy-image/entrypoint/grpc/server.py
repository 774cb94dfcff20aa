"""
A gRPC server on Unix sockets, in one thread.

The most a client can do is end its own connection. The most a fault in here can do is end all connections, and clients
connect again. No other thread ever waits for this one.
"""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Never

from entrypoint.grpc.connection import MOST_UNSENT, ClientFault, Limits, ServerConnection
from entrypoint.grpc.socket import Peer, peer_of
from entrypoint.log import WarningsOnce, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from entrypoint.grpc.service import Services
    from entrypoint.log import Log

_AFTER_A_FAULT_S = 0.5
_PIECE = 65_536


class ServedSocket(NamedTuple):
    """
    A socket, the services on it, and the users that may connect.

    Args:
        name: The names of its log events begin with it, for example ``NAME-client``.
        listener: From :func:`entrypoint.grpc.socket.bind`. It stays open when the server ends.
        services: All that can be called on this socket.
        users: The only users (uid) that may connect.
        attributes_of: Called once for each connection. Its result is passed to the services as
            :attr:`~entrypoint.grpc.socket.Peer.attributes`, and logged.
    """

    name: str
    listener: socket.socket
    services: Services
    users: Collection[int]
    limits: Limits = Limits()
    attributes_of: Callable[[Peer], Mapping[str, bool]] = lambda _: {}


class _Accepted:
    """A client's connection, and when the client began to owe something."""

    def __init__(self, wire: socket.socket, served: ServedSocket, peer: Peer) -> None:
        self.wire = wire
        self.served = served
        self.peer = peer
        self.connection = ServerConnection(served.services, peer, served.limits)
        self.unsent = bytearray()
        self._unsent_since = 0.0
        self._unfinished_since = 0.0

    def note(self, now: float, *, took_some: bool) -> None:
        """Note whether the client owes something now; with ``took_some`` it has just read some of what it was sent."""
        if not self.unsent:
            self._unsent_since = 0.0
        elif took_some or not self._unsent_since:
            self._unsent_since = now
        if not self.connection.is_unfinished:
            self._unfinished_since = 0.0
        elif not self._unfinished_since:
            self._unfinished_since = now

    def deadline(self) -> float | None:
        """When the client's time is up; None if it owes nothing."""
        since = [since for since in (self._unsent_since, self._unfinished_since) if since]
        return min(since) + self.served.limits.patience_s if since else None


class Server:
    """
    A server that runs until the process ends.

    Args:
        name: The event of a fault in the server itself is ``NAME-fault``.
    """

    def __init__(self, name: str, sockets: Sequence[ServedSocket], log: Log) -> None:
        self._name = name
        self._sockets = sockets
        self._log = log
        self._warnings = WarningsOnce(log)
        self._accepted: dict[int, _Accepted] = {}
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._wakeup_writer = socket.socketpair()
        self._wakeup.setblocking(False)
        self._wakeup_writer.setblocking(False)

    def wake(self) -> None:
        """Have every open call's :meth:`~entrypoint.grpc.service.Stream.update` called soon; from any thread."""
        with suppress(BlockingIOError):  # a full pipe wakes it too
            self._wakeup_writer.send(b"!")

    def run(self) -> Never:
        """Serve for ever."""
        while True:
            try:
                for served in self._sockets:
                    self._selector.register(served.listener, selectors.EVENT_READ, served)
                self._selector.register(self._wakeup, selectors.EVENT_READ)
                while True:
                    self._turn()
            except Exception as error:  # noqa: BLE001  clients must be able to come back
                self._log.error(f"{self._name}-fault", error=type(error).__name__, place=place_of(error))
                for one in tuple(self._accepted.values()):
                    self._close(one)
                self._selector.close()
                self._selector = selectors.DefaultSelector()
                time.sleep(_AFTER_A_FAULT_S)

    def _turn(self) -> None:
        deadlines = [deadline for one in self._accepted.values() if (deadline := one.deadline())]
        patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        for key, ready in self._selector.select(patience):
            if isinstance(key.data, ServedSocket):
                self._accept(key.data)
            elif key.fileobj is self._wakeup:
                with suppress(BlockingIOError):
                    self._wakeup.recv(_PIECE)
                for one in tuple(self._accepted.values()):
                    self._attend(one, selectors.EVENT_WRITE, update=True)
            elif client := self._accepted.get(key.fd):
                self._attend(client, ready)
        now = time.monotonic()
        for one in tuple(self._accepted.values()):
            if (deadline := one.deadline()) and deadline <= now:
                self._close(one, "it takes too long")

    def _accept(self, served: ServedSocket) -> None:
        try:
            wire, _ = served.listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            self._warnings.warning(f"{served.name}-not-accepted", reason=str(error.strerror))
            time.sleep(_AFTER_A_FAULT_S)  # out of descriptors: the queue keeps the client
            return
        one = None
        try:
            one = self._admitted(served, wire)
        finally:
            if one is None:
                wire.close()
        if one:
            self._attend(one, selectors.EVENT_WRITE, update=True)

    def _admitted(self, served: ServedSocket, wire: socket.socket) -> _Accepted | None:
        """The new client, or None if it is turned away."""
        refused = f"{served.name}-client-refused"
        try:
            peer = peer_of(wire)
        except OSError as error:
            self._warnings.warning(refused, reason=str(error.strerror))
            return None
        if peer.uid not in served.users:
            self._warnings.warning(refused, reason="it is another user's", uid=peer.uid)
            return None
        peer = peer._replace(attributes=served.attributes_of(peer))
        alike = [one for one in self._accepted.values() if one.served is served and one.peer[1:] == peer[1:]]
        if len(alike) >= served.limits.connections:
            reason = f"there are {served.limits.connections} connections already"
            self._warnings.warning(refused, reason=reason)
            return None
        wire.setblocking(False)
        one = _Accepted(wire, served, peer)
        self._accepted[wire.fileno()] = one
        self._selector.register(wire, selectors.EVENT_READ)
        self._log.debug(f"{served.name}-client", pid=peer.pid, **peer.attributes)
        return one

    def _attend(self, one: _Accepted, ready: int, *, update: bool = False) -> None:
        """Read what a client has sent, and send what there is for it."""
        try:
            if ready & selectors.EVENT_READ:
                data = one.wire.recv(_PIECE)
                if not data:
                    self._close(one)
                    return
                one.unsent += one.connection.receive(data)
            if update:
                one.unsent += one.connection.update()
            self._send(one)
        except BlockingIOError:
            return
        except ClientFault as fault:
            self._close(one, str(fault))
        except OSError:
            self._close(one)
        except Exception as error:  # noqa: BLE001  a fault of ours that this client has met; its values could be secret
            self._close(one, f"{type(error).__name__} at {place_of(error)}")

    def _send(self, one: _Accepted) -> None:
        before = len(one.unsent)
        with suppress(BlockingIOError):
            while one.unsent:
                del one.unsent[: one.wire.send(one.unsent[:_PIECE])]
        if len(one.unsent) > MOST_UNSENT:
            raise ClientFault("too much that it does not take")
        one.note(time.monotonic(), took_some=len(one.unsent) < before)
        self._selector.modify(one.wire, selectors.EVENT_READ | (selectors.EVENT_WRITE if one.unsent else 0))

    def _close(self, one: _Accepted, reason: str = "") -> None:
        if reason:
            self._warnings.warning(f"{one.served.name}-client-closed", reason=reason)
        self._accepted.pop(one.wire.fileno(), None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(one.wire)
        one.wire.close()
