"""The version is the same wherever somebody reads it."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from meshcert import VERSION
from meshcert.cli.__main__ import main
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    import pytest


def test_the_version_is_that_of_pyproject_and_of_the_changelogs_first_heading() -> None:
    """Whoever reports a fault can say what they run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert (project["version"], headings[0]) == (VERSION, VERSION)


def test_the_command_line_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It needs neither a mesh file nor credentials."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"meshcert {VERSION}\n"
