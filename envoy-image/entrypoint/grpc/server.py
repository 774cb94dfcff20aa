"""
Serves the Secret Discovery Service on the socket, in a thread of the watcher.

Whatever a client does ends at most its own connection; whatever goes wrong in here ends at most all connections, which
Envoy then makes anew. The rotation never waits for this thread.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Never

from entrypoint.grpc.connection import MOST_UNSENT, Client, ClientFault, Connection
from entrypoint.grpc.socket import Peer, parent_of, peer_of
from entrypoint.log import place_of

if TYPE_CHECKING:
    from entrypoint.log import Log
    from entrypoint.xds.board import Board

MOST_CLIENTS = 16
"""Connections at once; of Envoy and of others each. Envoy has one."""
PATIENCE_S = 10.0
"""Longest time for a client to finish what it has begun to send, or to take what it is sent, seconds."""
_LOOK_EVERY_S = 1.0
_AFTER_A_FAULT_S = 0.5
_PIECE = 65_536
_MOST_TOLD = 50
_LONGEST_NAME = 100


class Owner(NamedTuple):
    """
    Whose socket it is.

    Args:
        uid: The only user that may connect.
        envoys_parent: The only process whose child is Envoy: the supervisor.
    """

    uid: int
    envoys_parent: int


class _Open:
    """A client's connection."""

    def __init__(self, wire: socket.socket, connection: Connection, *, is_envoy: bool) -> None:
        self.wire = wire
        self.connection = connection
        self.is_envoy = is_envoy
        self.unsent = bytearray()
        self.unsent_since = 0.0
        self.unfinished_since = 0.0

    def note(self, now: float, *, took_some: bool) -> None:
        """Note since when this client has owed something."""
        if not self.unsent:
            self.unsent_since = 0.0
        elif took_some or not self.unsent_since:
            self.unsent_since = now
        if not self.connection.is_unfinished:
            self.unfinished_since = 0.0
        elif not self.unfinished_since:
            self.unfinished_since = now

    def owes_since(self) -> float:
        """The earliest moment; 0 if it owes nothing."""
        return min((since for since in (self.unsent_since, self.unfinished_since) if since), default=0.0)


class Server:
    """
    Serves one proxy's secrets.

    Args:
        listener: Bound, listening and not blocking; it stays open when this ends.
        board: Where the secrets are.
        log: For what a person must know.
        owner: Whose socket it is.
    """

    def __init__(self, listener: socket.socket, board: Board, log: Log, owner: Owner) -> None:
        self._listener = listener
        self._board = board
        self._log = log
        self._owner = owner
        self._told: set[str] = set()
        self._open: dict[int, _Open] = {}
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_rope = socket.socketpair()
        self._bell.setblocking(False)
        self._bell_rope.setblocking(False)
        board.on_news(self._ring)

    def run(self) -> Never:
        """Serve for ever."""
        while True:
            try:
                self._selector.register(self._listener, selectors.EVENT_READ)
                self._selector.register(self._bell, selectors.EVENT_READ)
                while True:
                    self._turn()
            except Exception as error:  # noqa: BLE001  Envoy must be able to come back, and the rotation goes on
                self._log.error("sds-fault", error=type(error).__name__, place=place_of(error))
                for one in tuple(self._open.values()):
                    self._close(one)
                self._selector.close()
                self._selector = selectors.DefaultSelector()
                time.sleep(_AFTER_A_FAULT_S)

    def _ring(self) -> None:
        """Wake the thread; a bell that is ringing already is enough."""
        with suppress(BlockingIOError):
            self._bell_rope.send(b"!")

    def _turn(self) -> None:
        waits = any(one.owes_since() for one in self._open.values())
        for key, ready in self._selector.select(_LOOK_EVERY_S if waits else None):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._bell:
                with suppress(BlockingIOError):
                    self._bell.recv(_PIECE)
                for one in tuple(self._open.values()):
                    self._attend(one, selectors.EVENT_WRITE, news=True)
            elif client := self._open.get(key.fd):
                self._attend(client, ready)
        now = time.monotonic()
        for one in tuple(self._open.values()):
            if 0 < one.owes_since() < now - PATIENCE_S:
                self._close(one, "it takes too long")

    def _accept(self) -> None:
        try:
            wire, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            self._tell("sds-not-accepted", reason=str(error.strerror))
            time.sleep(_AFTER_A_FAULT_S)  # out of descriptors: the queue keeps the client
            return
        one = None
        try:
            one = self._admitted(wire)
        finally:
            if one is None:
                wire.close()
        if one:
            self._attend(one, selectors.EVENT_WRITE, news=True)

    def _admitted(self, wire: socket.socket) -> _Open | None:
        """A client that may stay."""
        if (peer := self._peer(wire)) is None:
            return None
        # A parent that cannot be seen says nothing against it: other users are out already.
        is_envoy = parent_of(peer.pid) in {0, self._owner.envoys_parent}
        if sum(one.is_envoy is is_envoy for one in self._open.values()) >= MOST_CLIENTS:
            self._tell("sds-client-refused", reason=f"there are {MOST_CLIENTS} connections already")
            return None
        wire.setblocking(False)
        client = Client(is_envoy, lambda asked: self._tell("sds-unknown-secret", asked=asked[:_LONGEST_NAME]))
        one = _Open(wire, Connection(self._board, client), is_envoy=is_envoy)
        self._open[wire.fileno()] = one
        self._selector.register(wire, selectors.EVENT_READ)
        self._log.debug("sds-client", pid=peer.pid, envoy=is_envoy)
        return one

    def _peer(self, wire: socket.socket) -> Peer | None:
        """Who it is; None for one who may not be here."""
        try:
            peer = peer_of(wire)
        except OSError as error:
            self._tell("sds-client-refused", reason=str(error.strerror))
            return None
        if peer.uid != self._owner.uid:
            self._tell("sds-client-refused", reason="it is another user's", uid=peer.uid)
            return None
        return peer

    def _attend(self, one: _Open, ready: int, *, news: bool = False) -> None:
        """Read what a client has sent, and send what there is."""
        try:
            if ready & selectors.EVENT_READ:
                data = one.wire.recv(_PIECE)
                if not data:
                    self._close(one)
                    return
                one.unsent += one.connection.receive(data)
            if news:
                one.unsent += one.connection.news()
            self._send(one)
        except BlockingIOError:
            return
        except ClientFault as fault:
            self._close(one, str(fault))
        except OSError:
            self._close(one)
        except Exception as error:  # noqa: BLE001  a client that found a fault of ours; its values could be secret
            self._close(one, f"{type(error).__name__} at {place_of(error)}")

    def _send(self, one: _Open) -> None:
        before = len(one.unsent)
        with suppress(BlockingIOError):
            while one.unsent:
                del one.unsent[: one.wire.send(one.unsent[:_PIECE])]
        if len(one.unsent) > MOST_UNSENT:
            raise ClientFault("too much that it does not take")
        one.note(time.monotonic(), took_some=len(one.unsent) < before)
        self._selector.modify(one.wire, selectors.EVENT_READ | (selectors.EVENT_WRITE if one.unsent else 0))

    def _close(self, one: _Open, reason: str = "") -> None:
        if reason:
            self._tell("sds-client-closed", reason=reason)
        self._open.pop(one.wire.fileno(), None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(one.wire)
        one.wire.close()

    def _tell(self, event: str, **fields: str | int) -> None:
        """Log this once; a client could have it happen a thousand times a second."""
        told = f"{event} {fields}"
        if told not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(told)
            self._log.warning(event, **fields)


def serve(listener: socket.socket, board: Board, log: Log, supervisor: int) -> Never:
    """
    Serve for ever; the thread's whole work.

    Args:
        listener: As for :class:`Server`.
        board: As for :class:`Server`.
        log: As for :class:`Server`.
        supervisor: Process id of Envoy's parent.
    """
    Server(listener, board, log, Owner(os.getuid(), supervisor)).run()
