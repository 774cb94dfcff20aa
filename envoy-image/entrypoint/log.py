"""
Log events, one JSON line each, on standard output.

``logging`` is not used: its import takes more time than all log lines of a start, and 3 MB in the supervisor.
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
_FLUSH_S = 0.5


def iso_time(seconds: float) -> str:
    """
    The time in RFC 3339's form, in whole seconds, for example ``2026-11-22T10:13:48Z``.

    Args:
        seconds: Seconds since 1970, UTC.
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Log:
    """
    Writes log events of at least one level.

    Args:
        level: One of :data:`LEVELS`; anything else counts as ``info``.
        write: Takes one line; by default, standard output, which may keep the caller waiting.
        flush: Waits until all lines are written, for some seconds at most.
    """

    def __init__(
        self,
        level: str = DEFAULT_LEVEL,
        write: Callable[[bytes], Any] | None = None,
        flush: Callable[[float], Any] | None = None,
    ) -> None:
        self._threshold = LEVELS.index(level) if level in LEVELS else LEVELS.index(DEFAULT_LEVEL)
        self._write = write or _to_stdout
        self._flush = flush

    def debug(self, event: str, **fields: Any) -> None:
        """Log something that only a developer asks for."""
        self._event(0, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log something that went as it should."""
        self._event(1, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log something that heals by itself, or that someone should look at."""
        self._event(2, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log something that someone must look at."""
        self._event(3, event, fields)

    def flush(self) -> None:
        """Wait until all lines are written, for half a second at most: the process is about to end."""
        if self._flush:
            self._flush(_FLUSH_S)

    def _event(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if level >= self._threshold:
            self._write(_line(level, event, fields))


def lost_lines(lines: int) -> bytes:
    """The line that says how many were lost, because nobody took them."""
    return _line(2, "log-lines-lost", {"lines": lines})


def _line(level: int, event: str, fields: dict[str, Any]) -> bytes:
    now = time.time()
    at = f"{iso_time(now).removesuffix('Z')}.{int(now % 1 * 1000):03d}Z"
    return json.dumps({"at": at, "level": LEVELS[level], "event": event, **fields}, default=str).encode() + b"\n"


class WarningsOnce:
    """Writes each warning once, and 50 at most, because a client could cause one a thousand times a second."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._written: set[str] = set()

    def warning(self, event: str, **fields: str | int) -> None:
        """Write the warning unless it was written before."""
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
    # A reader that has gone away is not a reason to stop.
    with suppress(OSError):
        os.write(1, line)
