"""
The code of functions, unpacked once for all sandboxes, and for the next local AWS too.

MiniStack 1.5.33 unpacks the bundle for each sandbox anew, and Python compiles it anew, for it comes without byte code:
two seconds of a core before a function begins, again and again.

AWS's sandboxes share the chunks of equal code (Brooker et al., "On-demand Container Loading in AWS Lambda", USENIX ATC
2023); here they share a folder, and the first one's byte code serves all. A bundle's folder is named after its content,
and goes when nobody has used it for a day.

It can go when a second sandbox of a function starts no slower than the bundle's imports.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from ministack.core import lambda_runtime

from local.aws import hooks

_KEPT_UNUSED_S = 24 * 3600
_unpacking = threading.Lock()


def install(folder: Path) -> None:
    """Have MiniStack unpack bundles into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = partial(SharedBundle, folder)
    hooks.replace(lambda_runtime, "zipfile", SimpleNamespace(ZipFile=bundle, BadZipFile=zipfile.BadZipFile))


class SharedBundle(zipfile.ZipFile):
    """
    A bundle that is unpacked only if it is the first of its content; all others become links.

    Args:
        folder: Where unpacked ones lie.
        file: The bundle.
    """

    def __init__(self, folder: Path, file: str) -> None:
        super().__init__(file)
        self._folder = folder

    def extractall(self, path: str | Path | None = None, *_: object, **__: object) -> None:  # type: ignore[override]
        """Make ``path``, an empty folder, the bundle's folder."""
        bundle = Path(str(self.filename))
        with bundle.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = Path(str(path))
        folder = self._folder / digest
        with _unpacking:
            if not folder.exists():
                self._unpack(folder)
            os.utime(folder)
        target.rmdir()
        target.symlink_to(folder, target_is_directory=True)
        # MiniStack has the bundle in memory, and does not read its copy again.
        bundle.unlink()

    def _unpack(self, folder: Path) -> None:
        for other in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another local AWS has removed or named it
                if time.time() - other.stat().st_mtime > _KEPT_UNUSED_S:
                    shutil.rmtree(other, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=".fresh-", dir=self._folder))
        super().extractall(fresh)
        try:
            fresh.rename(folder)
        except OSError:  # another local AWS was faster
            shutil.rmtree(fresh)
