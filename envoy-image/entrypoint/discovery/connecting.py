"""Which addresses accept TCP connections: a task that has been started refuses them until its application answers."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WITHIN_S = 1.0
"""
Longest wait for a connection, seconds.

Within a VPC it takes a millisecond, and a refusal as well; between regions at most some 0.3 s.
"""
AT_ONCE = 128
"""How many are tried at once: each takes a file descriptor."""


def accepting(addresses: Iterable[tuple[str, int]], within_s: float = WITHIN_S) -> frozenset[tuple[str, int]]:
    """
    The addresses, IPv4 and port, that accept a connection; it is closed at once, and nothing is sent.

    What cannot be tried for want of file descriptors does not accept either.

    Args:
        within_s: Longest wait for each :data:`AT_ONCE` of them, seconds. What is silent for so long does not accept.
    """
    wanted = sorted(set(addresses))
    parts = (wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE))
    try:
        return frozenset(address for part in parts for address in _accepting(part, within_s))
    except OSError:
        return frozenset()


def _accepting(addresses: Iterable[tuple[str, int]], within_s: float) -> list[tuple[str, int]]:
    found = []
    deadline = time.monotonic() + within_s
    with ExitStack() as stack:
        waiting = stack.enter_context(selectors.DefaultSelector())
        for address in addresses:
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            begun = connection.connect_ex(address)
            if begun == 0:
                found.append(address)
            elif begun == errno.EINPROGRESS:
                waiting.register(connection, selectors.EVENT_WRITE, (connection, address))
        while waiting.get_map() and (left_s := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left_s):
                connection, address = key.data
                waiting.unregister(connection)
                if not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    found.append(address)
    return found
