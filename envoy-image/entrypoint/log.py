"""
One JSON line an event on standard output.

``logging`` is not used: its import costs more time than all the lines of a start (and 3 MB of the supervisor).
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = ("debug", "info", "warning", "error")
DEFAULT_LEVEL = "info"
_MOST_WARNINGS = 50


def iso_time(seconds: float) -> str:
    """
    A time to the second in RFC 3339's form, for example ``2026-11-22T10:13:48Z``.

    Args:
        seconds: Since 1970, UTC.
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Log:
    """
    Writes events of a level and above.

    Args:
        level: One of :data:`LEVELS`; anything else counts as ``info``.
        write: Takes one line; standard output unless told.
    """

    def __init__(self, level: str = DEFAULT_LEVEL, write: Callable[[bytes], Any] | None = None) -> None:
        self._threshold = LEVELS.index(level) if level in LEVELS else LEVELS.index(DEFAULT_LEVEL)
        self._write = write or _to_stdout

    def debug(self, event: str, **fields: Any) -> None:
        """Something only a developer asks for."""
        self._event(0, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Something that went as it should."""
        self._event(1, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something that heals, or should be looked at."""
        self._event(2, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something a person must look at."""
        self._event(3, event, fields)

    def _event(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if level < self._threshold:
            return
        now = time.time()
        at = f"{iso_time(now).removesuffix('Z')}.{int(now % 1 * 1000):03d}Z"
        line = json.dumps({"at": at, "level": LEVELS[level], "event": event, **fields}, default=str)
        self._write(line.encode() + b"\n")


class WarningsOnce:
    """Writes each warning once, and 50 at most: a client could cause one a thousand times a second."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._written: set[str] = set()

    def warning(self, event: str, **fields: str | int) -> None:
        """Write it unless it was written before."""
        warning = f"{event} {fields}"
        if warning not in self._written and len(self._written) < _MOST_WARNINGS:
            self._written.add(warning)
            self._log.warning(event, **fields)


def place_of(error: BaseException) -> str:
    """The place where an error was raised, as ``file:line`` of the innermost frames; no values."""
    places = []
    frame = error.__traceback__
    while frame is not None:
        places.append(f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}")
        frame = frame.tb_next
    return " > ".join(places[-4:])


def _to_stdout(line: bytes) -> None:
    # One write for the whole line: the supervisor, the watcher and Envoy share this descriptor.
    # Nobody may be reading any more, which is no reason to stop.
    with suppress(OSError):
        os.write(1, line)
