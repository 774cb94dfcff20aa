"""
Files of the user's, read by content, because volumes of the network tell no changes.

A file may lie on a file system that never answers (EFS without a way to it). So a thread of its own reads it, and the
rest goes on.
"""

from __future__ import annotations

import os
import stat
from threading import Thread

from meshcert.errors import FilesUnreadable

READ_WITHIN_S = 5.0
"""Longest wait for the files of one certificate, seconds."""
LONGEST_FILE = 65_536
"""Bytes of a file; as of a secret's value (Secrets Manager quotas)."""


class FileReader:
    """
    Reads files.

    Args:
        within_s: Longest wait for those that are read together, seconds.
    """

    def __init__(self, within_s: float = READ_WITHIN_S) -> None:
        self._within_s = within_s
        self._unfinished: dict[tuple[str, ...], _Reading] = {}

    def read(self, *paths: str) -> tuple[bytes, ...]:
        """What they hold; raises FilesUnreadable if that is not known in time."""
        reading = self._unfinished.pop(paths, None) or _Reading(paths)
        contents = reading.contents(self._within_s)
        if contents is None:
            # It is asked again at the next look: one thread waits for a file, however long.
            self._unfinished[paths] = reading
            raise FilesUnreadable(reading.at, f"no answer within {self._within_s:g} s")
        return contents


class _Reading:
    """One reading of a secret's files."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.at = paths[0]
        self._contents: list[bytes] = []
        self._failure: FilesUnreadable | None = None
        self._thread = Thread(target=self._read, args=(paths,), name="files", daemon=True)
        self._thread.start()

    def contents(self, within_s: float) -> tuple[bytes, ...] | None:
        """What they hold; None if that is not known in time. Raises FilesUnreadable."""
        self._thread.join(within_s)
        if self._thread.is_alive():
            return None
        if self._failure:
            raise self._failure
        return tuple(self._contents)

    def _read(self, paths: tuple[str, ...]) -> None:
        try:
            for self.at in paths:
                self._contents.append(_content(self.at))
        except OSError as error:
            self._failure = FilesUnreadable(self.at, error.strerror or type(error).__name__)


def _content(path: str) -> bytes:
    # Not blocking: the path may lead to a named pipe, which nobody writes to.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file")
        content = file.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise OSError(0, f"it is longer than {LONGEST_FILE} bytes")
    return content
