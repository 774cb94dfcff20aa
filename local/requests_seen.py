"""
How often each request came to an application: none may come twice, whatever a proxy sends again.

Who asks gives each request an id in a header; an application that finds :data:`VARIABLE` in its environment writes the
ids that reach it into the pipe of that name, one a line; who asks reads them there and counts. A pipe, because it can
be written on a read-only file system and by any number of tasks, and costs a request a few microseconds.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = "meshcert-request-id"
VARIABLE = "MESHCERT_REQUESTS_SEEN"
PIPE_BYTES = 1 << 20
"""Of ids that nobody has read yet: some fifty thousand. More are lost, and make no request wait."""


class RequestIds:
    """Ids of one client's requests, which nobody else has."""

    def __init__(self) -> None:
        self.prefix = secrets.token_hex(4)
        self._numbers = count()

    def next(self) -> str:
        """An id."""
        return f"{self.prefix}-{next(self._numbers)}"


class RequestsSeen:
    """
    The ids that applications have written.

    Args:
        path: The pipe; it is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # For both directions: so there is always a reader, and its end never comes.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(PermissionError):  # the user has many pipes: the kernel's default does
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._rest = b""
        self._times: Counter[bytes] = Counter()
        self._reading = threading.Lock()

    def read(self) -> None:
        """Take in what has been written; clients call it after each request, so that the pipe never fills."""
        with self._reading:
            while True:
                try:
                    data = os.read(self._pipe, PIPE_BYTES)
                except BlockingIOError:
                    return
                *ids, self._rest = (self._rest + data).split(b"\n")
                self._times.update(ids)

    def of(self, prefix: str) -> dict[str, int]:
        """How often each request of a client, by its ids' prefix, came to an application."""
        self.read()
        with self._reading:
            return {name.decode(): times for name, times in self._times.items() if name.startswith(prefix.encode())}

    def close(self) -> None:
        """Read no more."""
        os.close(self._pipe)


@contextmanager
def requests_seen(path: Path) -> Iterator[RequestsSeen]:
    """A new pipe, while the context lasts."""
    os.mkfifo(path, 0o600)
    seen = RequestsSeen(path)
    try:
        yield seen
    finally:
        seen.close()
        path.unlink(missing_ok=True)


def write_id(path: str, request_id: str) -> None:
    """What an application does with the id of a request; nothing if nobody reads."""
    with suppress(OSError):
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, f"{request_id}\n".encode())
        finally:
            os.close(pipe)


def told_twice(seen: dict[str, int]) -> list[str]:
    """A sentence for each request that came more than once."""
    return [f"{request_id} came to the application {times} times" for request_id, times in seen.items() if times > 1]
