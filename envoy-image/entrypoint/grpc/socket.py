"""Unix sockets: listening on one, and asking the kernel who has connected."""

from __future__ import annotations

import os
import socket
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_BACKLOG = 64
_CREDENTIALS = struct.Struct("3i")
_NO_ATTRIBUTES: Mapping[str, bool] = {}


class Peer(NamedTuple):
    """
    The process at the other end, as the kernel names it (``SO_PEERCRED``, unix(7)).

    Args:
        pid: Its id when it connected; 0 if it is in a PID namespace that cannot be seen from here.
        uid: Its user.
        attributes: From ``attributes_of`` of its :class:`entrypoint.grpc.server.ServedSocket`.
    """

    pid: int
    uid: int
    attributes: Mapping[str, bool] = _NO_ATTRIBUTES


def bind(path: str, mode: int = 0o600) -> socket.socket:
    """
    Return a listening, non-blocking socket, and replace one that an earlier container left at this path.

    Args:
        mode: Its permissions; a user that may write to it may connect.

    Raises:
        OSError: If the path cannot be bound.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o777 & ~mode)
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
    """Return whether a socket bound to this path is still there. Only this program binds in the folder."""
    try:
        return listener.getsockname() == path and stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def peer_of(connection: socket.socket) -> Peer:
    """
    Return the process that has connected.

    Raises:
        OSError: If the kernel does not say.
    """
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)
