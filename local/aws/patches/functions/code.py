"""
The code of functions, unpacked once for all sandboxes.

MiniStack 1.5.33 unpacks the bundle for each sandbox anew, and Python compiles it anew, for it comes without byte code:
two seconds of a core before a function begins, again and again.

AWS's sandboxes share the chunks of equal code (Brooker et al., "On-demand Container Loading in AWS Lambda", USENIX ATC
2023); here they share a folder, and the first one's byte code serves all.

It can go when a second sandbox of a function starts no slower than the bundle's imports.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

from ministack.core import lambda_runtime

from local.aws import hooks

_unpacking = threading.Lock()


def install() -> None:
    """Have MiniStack unpack here."""
    hooks.replace(lambda_runtime, "zipfile", SimpleNamespace(ZipFile=SharedBundle, BadZipFile=zipfile.BadZipFile))


class SharedBundle(zipfile.ZipFile):
    """A bundle that is unpacked only if it is the first of its content; all others become links."""

    def extractall(self, path: str | Path | None = None, *_: object, **__: object) -> None:  # type: ignore[override]
        """Make ``path``, an empty folder, the bundle's folder."""
        bundle = Path(str(self.filename))
        with bundle.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = Path(str(path))
        folder = Path(tempfile.gettempdir()) / f"function-code-{digest}"
        with _unpacking:
            if not folder.exists():
                fresh = Path(tempfile.mkdtemp(prefix="function-code-"))
                super().extractall(fresh)
                fresh.rename(folder)
        target.rmdir()
        target.symlink_to(folder, target_is_directory=True)
        # MiniStack has the bundle in memory, and does not read its copy again.
        bundle.unlink()
