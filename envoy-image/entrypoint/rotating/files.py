"""
Certificates and roots in files of the user's: read by content, because volumes of the network tell no changes.

A file may lie on a file system that never answers (EFS without a way to it). So a thread of its own reads it, and the
other secrets go on.
"""

from __future__ import annotations

import hashlib
import os
import stat
from threading import Thread
from typing import TYPE_CHECKING

from entrypoint.envoy.handover import EnvoyResource
from entrypoint.judging.files import certificate_of_files, roots_of_file
from entrypoint.rotating.secret import SecretContent
from meshcert.contract.tls_sources import CertificateFile
from meshcert.envoy import file_resource, trust_resource
from meshcert.errors import FilesUnreadable
from meshcert.material import TrustBundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.rotating.secret import WantedSecret

READ_WITHIN_S = 5.0
"""Longest wait for the files of one certificate, seconds."""
LONGEST_FILE = 65_536
"""Bytes of a file; as of a secret's value (Secrets Manager quotas)."""


class FileSource:
    """
    Reads files and checks what is in them.

    Args:
        now: Returns seconds since 1970, UTC.
        read_within_s: Longest wait for one certificate's files, seconds.
    """

    def __init__(self, now: Callable[[], float], read_within_s: float = READ_WITHIN_S) -> None:
        self._now = now
        self._read_within_s = read_within_s
        self._reading: dict[str, _Reading] = {}

    def version(self, wanted: WantedSecret) -> str:
        """What identifies the present content of a secret's files; raises FilesUnreadable."""
        return _version(self._contents(wanted))

    def fetch(self, wanted: WantedSecret) -> SecretContent:
        """
        The present content of a secret's files, after all checks.

        Raises:
            FilesUnreadable: If one cannot be read now.
            FilesRejected: If it must not be served.
        """
        contents = self._contents(wanted)
        version = _version(contents)
        if isinstance(wanted.file, CertificateFile):
            chain, key = contents
            pair = certificate_of_files(chain, key, wanted.file, wanted.roles, self._now())
            body = file_resource(wanted.name, pair.certificate_chain, pair.private_key)
            return SecretContent(EnvoyResource(version, body), pair.leaf)
        roots = roots_of_file(contents[0], paths_of(wanted)[0], self._now())
        body = trust_resource(wanted.name, TrustBundle(roots.certificates))
        return SecretContent(EnvoyResource(version, body), roots=roots.certificates, roots_end=roots.not_after)

    def _contents(self, wanted: WantedSecret) -> tuple[bytes, ...]:
        reading = self._reading.pop(wanted.name, None) or _Reading(paths_of(wanted))
        contents = reading.contents(self._read_within_s)
        if contents is None:
            # It is asked again at the next look: one thread waits for a file, however long.
            self._reading[wanted.name] = reading
            raise FilesUnreadable(reading.at, f"no answer within {self._read_within_s:g} s")
        return contents


def paths_of(wanted: WantedSecret) -> tuple[str, ...]:
    """The paths of a secret's files; empty if it is none of the user's."""
    return tuple(wanted.file or ())


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


def _version(contents: tuple[bytes, ...]) -> str:
    return hashlib.sha256(b"\0".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()
