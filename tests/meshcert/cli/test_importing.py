"""``meshcert import``: files, exit codes and what is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshcert.cli import exit_codes
from meshcert.cli.__main__ import main
from meshcert.mesh import read_mesh
from tests.meshcert.appmesh.definitions import IMAGE, color, write

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = ("--image", IMAGE, "--no-default-retries")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The Color mesh as the AWS CLI's JSON."""
    return write(tmp_path / "sources", color())


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A mesh file that is not there yet."""
    return tmp_path / "mesh.yaml"


def _import(*arguments: object) -> int:
    return main(["import", *map(str, arguments)])


def test_a_complete_import_ends_with_0_and_a_file_that_check_takes(sources: Path, output: Path) -> None:
    """The whole way of somebody who has everything."""
    assert _import(sources, "--output", output, *ANSWERS) == 0
    assert read_mesh(output.read_bytes()).faults == ()


def test_open_questions_end_with_1_and_stand_in_the_file(
    sources: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is there all the same: somebody goes on in it."""
    assert _import(sources, "--output", output) == 1

    told = capsys.readouterr().out
    assert "Needs your decision" in told
    assert "--default-retries, or --no-default-retries" in told
    assert "# ? which image" in output.read_text()
    assert "meshcert check" in told


def test_allow_lossy_ends_with_0(sources: Path, output: Path) -> None:
    """For scripts that know."""
    assert _import(sources, "--output", output, "--allow-lossy") == 0
    assert output.exists()


def test_the_report_is_a_json_document_for_scripts(
    sources: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every field that is kept is in it."""
    assert _import(sources, "--output", output, "--json") == 1

    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(output)
    assert {"image", "default retries"} == {each["what"] for each in document["decision"]}
    assert "provider.virtualRouter.virtualRouterName" in {each["what"] for each in document["kept"]}
    assert document["faults"] == []


def test_sources_without_app_mesh_end_with_2_and_no_file(
    tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wrong folder, most likely."""
    (tmp_path / "other.json").write_text('{"Resources": {}}')

    assert _import(tmp_path, "--output", output) == 2
    assert "nothing was written" in capsys.readouterr().out
    assert not output.exists()


def test_an_existing_file_is_overwritten_by_force_only(
    sources: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may hold an evening's work."""
    output.write_text("mine")

    assert _import(sources, "--output", output, *ANSWERS) == exit_codes.USAGE
    assert output.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert _import(sources, "--output", output, *ANSWERS, "--force") == 0
    assert output.read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--parameter", "Env"), "write NAME=VALUE"),
        (("--name", "Color Mesh"), "is not a name"),
    ],
)
def test_answers_that_cannot_be_meant_are_refused(
    sources: Path, output: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read."""
    assert _import(sources, "--output", output, *arguments) == exit_codes.USAGE
    assert said in capsys.readouterr().err
