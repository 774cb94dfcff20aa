"""
The supervisor's side of opening the ways in.

The containers of a task share no folder, only the loopback address: whoever connects there has the ways in opened.
That may be the application itself, which then gets requests before it is ready, and nothing more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from meshcert.contract.container import LOOPBACK, WAYS_IN_PORT
from meshcert.contract.environment import LOOPBACK_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.container.paths import Paths
    from entrypoint.log import Log

OPENED = b"opened\n"
"""The answer, once Envoy's file of listeners is the open one."""


class WaysIn:
    """
    The ways in of one container, closed at first.

    Raises:
        OSError: If the port is taken.
    """

    def __init__(self, environ: Mapping[str, str], paths: Paths) -> None:
        import socket  # a start without an application needs none

        self._paths = paths
        self._listener = socket.create_server((environ.get(LOOPBACK_ADDRESS) or LOOPBACK, WAYS_IN_PORT))
        self._listener.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to poll for somebody who asks."""
        return self._listener.fileno()

    def answer(self) -> bool:
        """
        Open the ways in for whoever has connected, and say so.

        Returns:
            Whether this opened them; they stay open.
        """
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return False  # gone again
        with connection:
            was_closed = os.path.exists(self._paths.ways_in_opened)
            if was_closed:
                os.rename(self._paths.ways_in_opened, self._paths.ways_in)
            connection.setblocking(False)
            with suppress(OSError):
                connection.send(OPENED)
        return was_closed


def ways_in_of(environ: Mapping[str, str], paths: Paths, log: Callable[[], Log]) -> WaysIn | None:
    """The ways in that wait for an application; None if there are none, or if nobody could ask, which is logged."""
    if not os.path.exists(paths.ways_in_opened):
        return None
    try:
        return WaysIn(environ, paths)
    except OSError as error:
        reason = str(error)
    log().error("ways-in-stay-closed", port=WAYS_IN_PORT, reason=reason)
    return None
