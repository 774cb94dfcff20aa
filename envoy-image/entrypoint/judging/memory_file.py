"""Text that OpenSSL insists on reading from a file, kept in memory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def memory_file(text: str) -> Iterator[str]:
    """
    A path under which this process reads the text from memory, for as long as the context lasts.

    ``SSLContext.load_cert_chain`` takes paths only. A memory file (memfd_create(2)) is on no file system, and others
    cannot open it: this process's descriptors are hidden (:func:`entrypoint.container.process.hide_memory`).
    """
    descriptor = os.memfd_create("material", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
