"""The files that COPY may take: a tree of files, less those that .dockerignore names."""

from __future__ import annotations

import fnmatch
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class FileTree:
    """
    A build context, or the files of another stage.

    Args:
        ignored: Patterns of .dockerignore, in order.
    """

    root: Path
    ignored: list[str] = field(default_factory=list)

    def find(self, source: str) -> list[Path]:
        """The paths that a COPY source names, wildcards included; empty if there are none or all are ignored."""
        pattern = source.lstrip("/") or "."
        wild = any(character in pattern for character in "*?[")
        found = sorted(self.root.glob(pattern)) if wild else [self.root / pattern]
        return [path for path in found if (path.exists() or path.is_symlink()) and self._may_hold(path)]

    def copy_tree(self, source: Path, target: Path, mode: int | None) -> None:
        """
        Copy what a folder holds, but not what is ignored.

        Args:
            source: A folder of this tree.
            target: Where its content goes.
            mode: Permissions of the copied files, or None for their own.
        """
        if not self._is_ignored(source):
            target.mkdir(parents=True, exist_ok=True)
        for path in filter(self._may_hold, source.iterdir()):
            if path.is_dir() and not path.is_symlink():
                self.copy_tree(path, target / path.name, mode)
            else:
                copy_file(path, target / path.name, mode)

    def _may_hold(self, path: Path) -> bool:
        """True if it is not ignored, or is a folder that a later exception may reach into."""
        return not self._is_ignored(path) or (path.is_dir() and any(line.startswith("!") for line in self.ignored))

    def _is_ignored(self, path: Path) -> bool:
        """True if it is ignored: the last pattern that matches it, or a folder above it, decides."""
        relative = path.relative_to(self.root)
        names = [str(relative), *map(str, list(relative.parents)[:-1])]
        ignored = False
        for line in self.ignored:
            pattern = line.removeprefix("!").strip("/").removeprefix("**/")
            if any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name, f"*/{pattern}") for name in names):
                ignored = not line.startswith("!")
        return ignored


def copy_file(source: Path, target: Path, mode: int | None) -> None:
    """
    Copy a file or a link, making folders as needed.

    Args:
        source: A file or a symbolic link; a link is copied as one.
        target: The new file.
        mode: Its permissions, or None for the source's.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    shutil.copy2(source, target, follow_symlinks=False)
    if mode is not None and not target.is_symlink():
        target.chmod(mode)


def ignore_patterns(context: Path, dockerfile: Path) -> list[str]:
    """The patterns of the Dockerfile's own ignore file, else of the context's, else none."""
    for file in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if file.is_file():
            lines = [line.strip() for line in file.read_text().splitlines()]
            return [line for line in lines if line and not line.startswith("#")]
    return []
