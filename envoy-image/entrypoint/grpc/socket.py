"""
The Unix socket over which Envoy gets its secrets: who may bind it, and who may speak on it.

The supervisor binds it before Envoy is started and never closes it. So Envoy always finds somebody listening, also
while a watcher that died is being replaced: its connection waits in the queue until the next one accepts.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from meshcert.contract.environment import LOG_LEVEL, PROXY

if TYPE_CHECKING:
    from collections.abc import Mapping

_BACKLOG = 64
_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """
    Who is at the other end, as the kernel says (``SO_PEERCRED``, unix(7)).

    Args:
        pid: Its process when it connected.
        uid: Its user.
    """

    pid: int
    uid: int


def is_wanted(environ: Mapping[str, str]) -> bool:
    """
    Whether this container's secrets are delivered over the socket.

    Settings that cannot be read say no here; the watcher tells what is wrong with them.

    Args:
        environ: The container's environment.
    """
    with suppress(ValueError, AttributeError):
        return bool(json.loads(environ.get(PROXY, "")).get("delivery") == "sds")
    return False


def kept(listener: socket.socket | None, environ: Mapping[str, str], path: str) -> socket.socket | None:
    """
    The socket for Envoy: the one there is, or a new one if nobody would find that any more.

    Args:
        listener: The one there is.
        environ: The container's environment.
        path: Where it belongs.

    Returns:
        None if secrets are not delivered over it, or if it has to be new and there can be none, which is logged.
    """
    if not is_wanted(environ):
        return None
    if listener is not None:
        if is_at(listener, path):
            return listener
        listener.close()
    try:
        return bind(path)
    except OSError as error:
        from entrypoint.log import Log

        # The watcher ends the container for it; it has the exit codes.
        Log(environ.get(LOG_LEVEL, "")).error("sds-socket-not-bound", reason=str(error))
        return None


def bind(path: str) -> socket.socket:
    """
    A socket that listens there, for this user only; one that an earlier container left is replaced.

    Args:
        path: In a folder of this user alone.

    Raises:
        OSError: If there can be none.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def is_at(listener: socket.socket, path: str) -> bool:
    """Whether the path that this socket was bound to is still there; nobody else in the folder binds another."""
    try:
        return listener.getsockname() == path and stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def peer_of(connection: socket.socket) -> Peer:
    """
    Who has connected.

    Raises:
        OSError: If the kernel does not say.
    """
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)


def parent_of(pid: int) -> int:
    """The parent of a process; 0 if it has ended or may not be looked at."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field is the program's name in brackets, which may itself hold brackets and blanks.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
