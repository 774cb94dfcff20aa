"""A file in memory, for text that OpenSSL reads only from files."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def memory_file(text: str) -> Iterator[str]:
    """
    A path from which this process can read the text while the context lasts; it leads to memory.

    ``SSLContext.load_cert_chain`` takes only paths. A memory file (memfd_create(2)) is on no disk, and no other process
    can open it, because this one's descriptors are hidden (:func:`entrypoint.container.process.hide_memory`).
    """
    descriptor = os.memfd_create("material", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
