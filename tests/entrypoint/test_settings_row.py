"""The settings of an attached service's proxy, from a row that its task definition names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.container.drain import Drain
from entrypoint.rotating.acknowledgements import row as acknowledgement
from entrypoint.rotating.first_delivery import exit_code_of
from entrypoint.settings import Settings
from entrypoint.stored_settings import fetch_settings
from evidence.fixtures.proxies import teller
from meshcert.contract import acknowledgements, exit_codes
from meshcert.documents.stored_settings import LONGEST_PACKED, packed_settings
from meshcert.errors import (
    AccessDenied,
    AwsUnavailable,
    MeshcertError,
    SettingsInvalid,
    SettingsNotPublished,
    StoredSettingsUnusable,
)
from meshcert.proxy import ProxySettings
from tests.entrypoint.test_stored_settings import Time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXT = teller(awaits_application=True).to_json()
DOCUMENT, VERSION = packed_settings(TEXT)
OTHER, OTHER_VERSION = packed_settings(teller(application_port=1).to_json())


def the_row(**changes: Any) -> dict[str, Any]:
    """As the deploy function writes it."""
    return {"schema": 1, "newest": {"version": VERSION, "document": DOCUMENT} | changes}


class Rows:
    """The table ``routes`` with an answer after the other; the last one stays."""

    def __init__(self, *answers: dict[str, Any] | MeshcertError | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def get(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
        """The next answer."""
        self.asked.append((table, key))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, MeshcertError):
            raise answer
        return answer


def environ(folder: Path, name: str = "dynamodb://meshcert-shop-routes/settings/orders") -> dict[str, str]:
    """A container's."""
    return {"MESHCERT_PROXY_FROM": name, "MESHCERT_MATERIAL_DIR": str(folder), "AWS_REGION": "eu-west-1"}


def fetched(folder: Path, rows: Rows) -> str:
    """What a container gets."""
    session: Any = None  # the rows are ours
    return fetch_settings(environ(folder), 0.0, session, Time().clock(), rows=rows)


def test_they_are_the_rows_newest_and_their_version_is_acknowledged(tmp_path: Path) -> None:
    """The lifecycle sees by it who runs with older ones."""
    rows = Rows(the_row())

    settings = Settings.from_environ(environ(tmp_path), fetched(tmp_path, rows))

    assert rows.asked == [("meshcert-shop-routes", {"service": "settings/orders"})]
    assert settings.proxy.to_json() == TEXT
    told = acknowledgement(settings.proxy, "task", 0, {}, settings=settings.version)
    assert told[acknowledgements.SETTINGS] == VERSION


def test_a_watcher_that_is_replaced_keeps_those_that_envoy_is_configured_for(tmp_path: Path) -> None:
    """Whatever the row has by then; so does the container that stops."""
    fetched(tmp_path, Rows(the_row()))
    later = Rows(the_row(version=OTHER_VERSION, document=OTHER))

    assert fetched(tmp_path, later) == TEXT
    assert later.asked == []
    assert vars(Drain.of_envoy(environ(tmp_path)))["_application_port"] == teller().application_port


def test_a_row_that_is_late_is_waited_for(tmp_path: Path) -> None:
    """And a table that cannot answer now."""
    rows = Rows(AwsUnavailable("dynamodb:GetItem", "t", "ThrottlingException"), None, {"schema": 1}, the_row())

    assert fetched(tmp_path, rows) == TEXT


LATER, LATER_VERSION = packed_settings(TEXT.replace("{", '{"of_a_later_version": 1, ', 1))


def test_an_image_that_is_older_than_the_newest_settings_starts_with_those_of_before(tmp_path: Path) -> None:
    """The image is the user's to replace. What it acknowledges is what it runs with, so the lifecycle tells of it."""
    row = the_row(version=LATER_VERSION, document=LATER) | {"before": {"version": VERSION, "document": DOCUMENT}}

    settings = Settings.from_environ(environ(tmp_path), fetched(tmp_path, Rows(row)))

    assert (settings.proxy.to_json(), settings.version) == (TEXT, VERSION)


def test_an_older_image_without_settings_that_it_understands_says_what_it_does_not(tmp_path: Path) -> None:
    """Of the newest, for those are the ones that it should run with."""
    of_later = {"version": LATER_VERSION, "document": LATER}
    for row in (the_row(**of_later), the_row(**of_later) | {"before": of_later}):
        with pytest.raises(SettingsInvalid, match="of_a_later_version"):
            Settings.from_environ(environ(tmp_path), fetched(tmp_path, Rows(row)))


def test_without_a_row_the_start_ends_with_what_to_do(tmp_path: Path) -> None:
    """ECS goes on with the tasks of before."""
    with pytest.raises(SettingsNotPublished, match="deploy the services stack") as caught:
        fetched(tmp_path, Rows(None))

    assert exit_code_of(caught.value) == exit_codes.NOT_PUBLISHED


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (the_row(version=OTHER_VERSION), "its SHA-256 is not its version"),
        (the_row(document="no base64"), "it is not base64"),
        (the_row(document="AAAA"), "it is not zlib"),
        (the_row(document=DOCUMENT[: len(DOCUMENT) // 8 * 4]), "it is cut"),
        (the_row(document="A" * (LONGEST_PACKED + 1)), "it is no text of at most"),
        (the_row(document=7), "it is no text of at most"),
        ({**the_row(), "schema": 2}, "the row is of another version of meshcert"),
    ],
)
def test_a_row_that_makes_no_sense_is_not_believed(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    """Nothing of it is kept."""
    with pytest.raises(StoredSettingsUnusable, match=problem) as caught:
        fetched(tmp_path, Rows(row))

    assert exit_code_of(caught.value) == exit_codes.SETTINGS
    assert list(tmp_path.iterdir()) == []


def test_a_task_role_without_the_policy_ends_the_start_and_the_right_is_named(tmp_path: Path) -> None:
    """Exit code 77, which ECS shows and the lifecycle tells; not at once, for a new role's rights are late."""
    denied = AccessDenied("dynamodb:GetItem", "meshcert-shop-routes", "AccessDeniedException")

    for folder in ("late", "never"):
        (tmp_path / folder).mkdir()
    assert fetched(tmp_path / "late", Rows(denied, the_row())) == TEXT
    with pytest.raises(AccessDenied, match=r"dynamodb:GetItem.*meshcert-shop-routes") as caught:
        fetched(tmp_path / "never", Rows(denied))

    assert exit_code_of(caught.value) == exit_codes.AWS_REFUSED


@pytest.mark.parametrize("change", [{"schema": 1000}, {"a_field_of_later": 1}], ids=["schema", "field"])
def test_a_sidecar_of_an_older_meshcert_is_told_to_take_the_newer_image(tmp_path: Path, change: dict[str, Any]) -> None:
    """It cannot know what a field means that it does not know; tasks of before go on."""
    document, version = packed_settings(json.dumps(json.loads(TEXT) | change))
    text = fetched(tmp_path, Rows(the_row(version=version, document=document)))

    with pytest.raises(SettingsInvalid, match="/meshcert/MESH/sidecar/image") as caught:
        Settings.from_environ(environ(tmp_path), text)

    assert exit_code_of(caught.value) == exit_codes.SETTINGS


def test_settings_that_might_not_be_understood_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start has a quarter of a CPU, and 200 backends take a while."""
    text = teller(application_port=4711).to_json()
    document, version = packed_settings(text)
    row = the_row(version=version, document=document) | {"before": {"version": VERSION, "document": DOCUMENT}}
    read: list[str] = []
    from_json = ProxySettings.from_json

    def reads(given: str) -> ProxySettings:
        read.append(given)
        return from_json(given)

    monkeypatch.setattr(ProxySettings, "from_json", reads)

    settings = Settings.from_environ(environ(tmp_path), fetched(tmp_path, Rows(row)))

    assert (settings.proxy.application_port, read) == (4711, [text])


@pytest.mark.parametrize(
    "name", ["dynamodb://t/settings/orders", "dynamodb://table/orders", "dynamodb://table/settings/a/b", "dynamodb://"]
)
def test_a_name_that_is_no_rows_is_a_fault_of_the_environment(tmp_path: Path, name: str) -> None:
    """It is told with the others."""
    with pytest.raises(SettingsInvalid, match=r"dynamodb://TABLE/settings/SERVICE"):
        Settings.from_environ(environ(tmp_path, name))
