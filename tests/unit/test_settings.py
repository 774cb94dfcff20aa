"""What the export function reads from its environment."""

from __future__ import annotations

import pytest

from meshcert.errors import SettingsInvalid
from meshcert.settings import ExportSettings

ENVIRONMENT = {"MESHCERT_MESH": "color", "MESHCERT_IDENTITIES_TABLE": "meshcert-color-identities"}


def test_the_export_functions_settings_are_read() -> None:
    """Other variables do not matter."""
    settings = ExportSettings.from_environ(ENVIRONMENT | {"PATH": "/usr/bin"})

    assert settings == ExportSettings(mesh="color", identities_table="meshcert-color-identities")


def test_all_missing_variables_are_told_at_once() -> None:
    """Each with what to do about it; blank counts as missing."""
    with pytest.raises(SettingsInvalid, match="2 fault") as caught:
        ExportSettings.from_environ({"MESHCERT_MESH": " "})

    assert [fault.place for fault in caught.value.faults] == ["MESHCERT_MESH", "MESHCERT_IDENTITIES_TABLE"]
