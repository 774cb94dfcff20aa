"""The proxy's settings that were fetched at start, as they are kept for the rest of this container's life."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.documents.stored_settings import LONGEST_STORED

if TYPE_CHECKING:
    from meshcert.documents.stored_settings import SettingsObject, SettingsRow


def kept_settings(stored: SettingsObject | SettingsRow, path: str) -> str:
    """
    The settings that were kept in a file: of an object as it has them, of a row as they were when they were fetched.

    Raises:
        OSError: If there is no such file.
        StoredSettingsUnusable: If it has other content.
    """
    with open(path, "rb") as file:
        return stored.open(file.read(LONGEST_STORED + 1))
