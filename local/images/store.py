"""
Where laid-out images are kept: a folder whose entries are named after image tags.

A tag is a link into ``.store/``, where equal images are kept once. Whoever runs a tag resolves it first: tags move.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from local.images.build import BuildRequest, build

if TYPE_CHECKING:
    from collections.abc import Callable

# Tags accumulate with every change of an asset. The newest stay, which covers every mesh that may be running.
_KEPT_TAGS = 30
# What no tag names may still run somewhere: its tag was built anew in the meantime.
_KEPT_UNTAGGED_S = 24 * 3600


class ImageMissingError(LookupError):
    """There is no image of that name."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"No such image: {reference}")


class ImageStore:
    """
    Laid-out images.

    Args:
        folder: Their folder, MESHCERT_LOCAL_IMAGES.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store = folder / ".store"

    def find(self, reference: str) -> Path:
        """
        The folder of an image.

        Raises:
            ImageMissingError: If there is no such image.
        """
        folder = self._link(reference)
        if not folder.exists():
            raise ImageMissingError(reference)
        return folder.resolve()

    def build(self, request: BuildRequest, references: list[str], say: Callable[[str], None]) -> str:
        """
        Lay out an image and name it.

        Args:
            say: Gets one line per step.

        Returns:
            The digest of its content, SHA-256 in hex.

        Raises:
            DockerfileError: If the Dockerfile cannot be followed.
            InstallError: If its requirements cannot be installed.
        """
        self._store.mkdir(parents=True, exist_ok=True)
        scratch = self._store / f"building-{os.getpid()}"
        scratch.mkdir()
        try:
            build(request, scratch, say)
            digest = _digest(scratch)
            if not (self._store / digest).exists():
                scratch.rename(self._store / digest)
        finally:
            for rest in self._store.glob(f"{scratch.name}*"):
                shutil.rmtree(rest, ignore_errors=True)
        for reference in references:
            self._name(reference, digest)
        self._prune()
        return digest

    def tag(self, existing: str, new: str) -> None:
        """
        Give an image one more name.

        Raises:
            ImageMissingError: If there is no image ``existing``.
        """
        self._name(new, self.find(existing).name)

    def _link(self, reference: str) -> Path:
        return self.folder / reference.rsplit("/", 1)[-1].rsplit(":", 1)[-1]

    def _name(self, reference: str, digest: str) -> None:
        link = self._link(reference)
        scratch = link.with_name(f".{link.name}.{os.getpid()}")
        scratch.symlink_to(Path(".store") / digest)
        scratch.rename(link)

    def _prune(self) -> None:
        tags = sorted(
            (path for path in self.folder.iterdir() if path.is_symlink()), key=lambda path: path.lstat().st_mtime
        )
        for tag in tags[:-_KEPT_TAGS]:
            tag.unlink(missing_ok=True)
        used = {path.resolve() for path in self.folder.iterdir() if path.is_symlink()}
        for content in self._store.iterdir():
            if content.resolve() not in used and time.time() - content.stat().st_mtime > _KEPT_UNTAGGED_S:
                shutil.rmtree(content, ignore_errors=True)


def _digest(folder: Path) -> str:
    """SHA-256 over names, kinds and contents, so that equal images are kept once."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)}\0".encode())
        if path.is_symlink():
            total.update(f"link {path.readlink()}\0".encode())
        elif path.is_file():
            total.update(f"file {path.stat().st_mode & 0o777:o} {path.stat().st_size}\0".encode() + path.read_bytes())
    return total.hexdigest()
