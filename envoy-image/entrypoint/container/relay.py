"""
Lines on their way to standard output, so that nobody ever waits for it.

A log driver that blocks, or a pipe that nobody reads, stops whoever writes. A thread of its own writes here; the others
put a line into a queue and go on. A full queue loses lines, and tells how many.

Only ``_thread`` is used: importing ``threading`` would cost the supervisor more than all its lines.
"""

from __future__ import annotations

import _thread
import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from entrypoint.log import Log, lost_lines

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 256 * 1024
"""Bytes that wait at most; the longest line of ours has some thousand."""
_STEP_S = 0.002


class Relay:
    """
    A queue of lines, and the thread that writes them.

    Args:
        tell_lost: Makes the line that says how many were lost.
        write: Writes some of the bytes and returns how many; may block, which holds up nobody else.
    """

    def __init__(
        self, tell_lost: Callable[[int], bytes], write: Callable[[int, bytes], int] = os.write, descriptor: int = 1
    ) -> None:
        self._tell_lost = tell_lost
        self._write = write
        self._descriptor = descriptor
        self._begin()
        # The child of a fork has the lines, which its parent writes, but not the thread.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = _thread.allocate_lock()
        self._news = _thread.allocate_lock()
        self._news.acquire()
        self._waiting: deque[bytes] = deque()
        self._bytes = self._lost = 0
        self._runs = self._busy = False

    def put(self, line: bytes) -> None:
        """Have a line written, or lose it; never waits."""
        with self._lock:
            if self._bytes + len(line) > MOST_BYTES:
                self._lost += 1
                return
            self._waiting.append(line)
            self._bytes += len(line)
            runs, self._runs = self._runs, True
        if not runs:
            _thread.start_new_thread(self._run, ())
        with suppress(RuntimeError):  # it has been told already
            self._news.release()

    def flush(self, within_s: float) -> bool:
        """Wait until every line is written, but no longer than that; True if they are."""
        deadline = time.monotonic() + within_s
        while self._waiting or self._lost or self._busy:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_STEP_S)
        return True

    def _run(self) -> None:
        while True:
            self._news.acquire()
            while line := self._next():
                self._write_whole(line)
            self._busy = False

    def _next(self) -> bytes:
        """The line to be written now; empty if there is none."""
        with self._lock:
            self._busy = True
            if self._lost and not self._waiting:
                lost, self._lost = self._lost, 0
                return self._tell_lost(lost)
            if not self._waiting:
                return b""
            line = self._waiting.popleft()
            self._bytes -= len(line)
            return line

    def _write_whole(self, line: bytes) -> None:
        # One write for the whole line if it fits: the supervisor, the watcher and Envoy share this descriptor.
        # A reader that has gone away is not a reason to stop.
        with suppress(OSError):
            while line:
                line = line[self._write(self._descriptor, line) :]


def relayed_log(level: str) -> Log:
    """A log whose lines go through a relay of its own."""
    relay = Relay(lost_lines)
    return Log(level, relay.put, relay.flush)
