"""The only code that writes secrets: one SDS resource file each, replaced in one step."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from meshcert.envoy.secrets import discovery_response, file_name
from meshcert.material import split_certificates

if TYPE_CHECKING:
    from meshcert.envoy.api import Json


class SecretFiles:
    """
    The folder Envoy takes secrets from.

    Args:
        directory: The folder; made if it is not there, and never removed: Envoy would lose its watch.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def install(self, name: str, resource: Json, version: str) -> bytes:
        """
        Hand one secret to Envoy.

        The file is complete before it gets its name, and Envoy notices the rename. It is not synced to a disk: the
        folder is a tmpfs.

        Args:
            name: SDS name.
            resource: The secret as ``tls.v3.Secret``.
            version: Its VersionId.

        Returns:
            What was written.

        Raises:
            OSError: If the folder is full or gone; what was installed before stays.
        """
        content = json.dumps(discovery_response(resource, version)).encode()
        self.write(name, content)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Replace a secret's file by this content; see :meth:`install`."""
        os.makedirs(self._directory, 0o700, exist_ok=True)
        write_private(f"{self._directory}/{file_name(name)}", content)

    def read(self, name: str) -> bytes:
        """What is installed under this name; empty if nothing is."""
        try:
            with open(f"{self._directory}/{file_name(name)}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""


def version_of(content: bytes) -> str:
    """The VersionId in an installed secret's content; empty if there is none."""
    return str(_parsed(content).get("version_info", ""))


def resource_of(content: bytes) -> Json:
    """The SDS resource in an installed secret's content; empty if there is none."""
    return next(iter(_parsed(content).get("resources", ())), {})


def leaf_of(content: bytes) -> str:
    """The certificate in an installed identity's content, PEM, without its chain; empty if there is none."""
    chain = resource_of(content).get("tls_certificate", {}).get("certificate_chain", {}).get("inline_string", "")
    return next(iter(split_certificates(str(chain))), "")


def roots_of(content: bytes) -> str:
    """The roots in an installed trust bundle's content, PEM; empty if there is none."""
    return str(resource_of(content).get("validation_context", {}).get("trusted_ca", {}).get("inline_string", ""))


def write_private(path: str, content: bytes) -> None:
    """
    Replace a file by one that only this user can read, in one step.

    Args:
        path: The file; beside it a hidden file is written first.
        content: All of it.

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


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
