"""A folder of files that change together: whoever opens them by ``current`` sees those of one version."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CURRENT = "current"
_PENDING = ".command-pending"
_VERSION = re.compile("[0-9a-f]{32}")
"""The name of a folder of ours; no other is ever removed."""


class CredentialFolder:
    """
    The folder ``path``: one folder for each version, and the link ``current``, which is moved by a rename.

    The version before stays, for programs that are just opening its files; older ones are removed.

    Args:
        path: It is made, for its owner alone, if it is not there.

    Raises:
        click.UsageError: If it is no folder, is somebody else's, or others may write to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = path.stat()
        if found.st_uid != os.geteuid():
            raise click.UsageError(f"{path} is somebody else's, who could put other files there: name one of yours")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise click.UsageError(f"others may write to {path}, and put files of theirs there: chmod go-w {path}")
        if (path / CURRENT).exists() and not (path / CURRENT).is_symlink():
            raise click.UsageError(f"{path / CURRENT} is no link of ours: name an empty folder")

    @property
    def current(self) -> Path:
        """Where readers find the files."""
        return self._path / CURRENT

    @property
    def version(self) -> str:
        """The version that readers see; empty before the first."""
        return self.current.readlink().name if self.current.is_symlink() and self.current.exists() else ""

    def write(self, version: str, files: Mapping[str, bytes]) -> None:
        """
        Let readers see these files, all at once; they are on the disk before that.

        Args:
            version: 32 lower-case hex digits.
            files: Content by name.

        Raises:
            click.UsageError: If they cannot be written. Readers see what they saw.
        """
        with _told(), self._alone():
            # Another run, beside a timer's, may have written it meanwhile, and readers have those files open.
            if self.version != version:
                self._write(version, files)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for other runs that write here; the lock ends with the process."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, version: str, files: Mapping[str, bytes]) -> None:
        before, made = self.version, self._path / version
        shutil.rmtree(made, ignore_errors=True)  # of a run that was ended
        made.mkdir(mode=0o700)
        for name, content in files.items():
            descriptor = os.open(made / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
        _sync(made)
        link = self._path / f".{CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(version)
        link.rename(self.current)
        _sync(self._path)
        for other in self._path.iterdir():
            # The folder may be one that holds more than ours: /etc/nginx, a home.
            if _VERSION.fullmatch(other.name) and other.name not in (version, before) and not other.is_symlink():
                shutil.rmtree(other, ignore_errors=True)

    @property
    def pending(self) -> bool:
        """Whether a command has yet to run for what readers see; a run that is ended in between leaves it so."""
        return (self._path / _PENDING).exists()

    def await_command(self) -> None:
        """A command is to run for what is written next."""
        with _told():
            (self._path / _PENDING).touch(mode=0o600)

    def command_has_run(self) -> None:
        """It has run, with exit code 0."""
        (self._path / _PENDING).unlink(missing_ok=True)


@contextmanager
def _told() -> Iterator[None]:
    """Say of what the system refuses which file it is about."""
    try:
        yield
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
