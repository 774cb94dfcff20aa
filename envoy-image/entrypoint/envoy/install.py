"""The files through which Envoy gets resources, one each, replaced atomically. No other code writes secrets."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from meshcert.bounded_json import MOST_BYTES
from meshcert.envoy.secrets import discovery_response, file_name

if TYPE_CHECKING:
    from meshcert.envoy.api import Json


class ResourceFiles:
    """
    A folder from which Envoy reads resources of one type.

    Args:
        directory: Made if it does not exist, and never removed, because Envoy would lose its watch on it.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def install(self, name: str, resource: Json, version: str) -> None:
        """
        Hand one resource to Envoy.

        The file is complete before it gets its name, and Envoy notices the rename. Nothing is synced, because the
        folder is a tmpfs.

        Args:
            name: Its xDS name.
            resource: A secret as ``tls.v3.Secret``, for example.
            version: Its ``version_info``.

        Raises:
            OSError: If the folder is full or missing; what was installed before stays.
        """
        os.makedirs(self._directory, 0o700, exist_ok=True)
        content = json.dumps(discovery_response(resource, version)).encode()
        write_private(f"{self._directory}/{file_name(name)}", content)

    def read(self, name: str) -> bytes:
        """The content of a resource's file, a part if it is longer than any of ours; empty if there is no file."""
        try:
            with open(f"{self._directory}/{file_name(name)}", "rb") as file:
                return file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            return b""


def write_private(path: str, content: bytes) -> None:
    """
    Replace a file atomically by one that only this user can read. A hidden file is written beside it first.

    Raises:
        OSError: If it cannot be written; the old file stays.
    """
    folder, _, name = path.rpartition("/")
    new = f"{folder}/.{name}.new"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.rename(new, path)
    except OSError:
        with suppress(OSError):
            os.unlink(new)
        raise
