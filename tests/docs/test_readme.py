"""The README's tables say what the code does."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from entrypoint import settings
from entrypoint.container import exit_codes
from local.demo.__main__ import STORIES
from meshcert import errors
from meshcert import settings as function_settings
from meshcert.cli import costs
from meshcert.cli import exit_codes as cli_exit_codes
from meshcert.cli.__main__ import cli
from meshcert.errors import MeshcertError, NotReady
from meshcert.lifecycle.policy import Policy
from meshcert.proxy import Rotation
from stacks.runbook import alarms

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
LIFECYCLE = (ROOT / "docs" / "lifecycle.md").read_text()


def rows(begin: str) -> list[tuple[str, ...]]:
    """The cells of the table that begins with this heading row."""
    (table,) = re.findall(rf"^{re.escape(begin)}\n\|[-|]+\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in table.splitlines()]


def test_every_error_is_in_the_readme_with_whether_it_heals() -> None:
    """The table of errors lists each class a caller can meet, and NotReady's as healing."""
    told = {name.strip("`"): heals for name, _, heals in rows("| error | means | heals by itself |")}
    raised = {
        name: error
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, MeshcertError) and not name.startswith("_")
    }
    concrete = set(raised) - {"MeshcertError", "NotReady", "Rejected"}

    assert set(told) == concrete
    for name, heals in told.items():
        assert (heals == "yes") == issubclass(raised[name], NotReady), name


def test_every_exit_code_is_in_the_readme_in_the_programs_own_words() -> None:
    """The table of exit codes and the program's --help come from one list."""
    told = {int(code): cause for code, cause in rows("| code | cause |")}

    assert told == exit_codes.EXIT_CODES


def test_every_variable_of_the_envoy_container_is_in_the_readme() -> None:
    """Nobody has to read the source to learn what may be set."""
    read = {value for value in vars(settings).values() if isinstance(value, str) and value.startswith("MESHCERT_")}

    assert len(read) > 3
    for variable in read:
        assert f"`{variable}`" in README, variable


def test_every_variable_of_the_functions_is_in_the_readme() -> None:
    """The same for the functions."""
    kinds = (
        kind for kind in vars(function_settings).values() if str(getattr(kind, "__name__", "")).endswith("Settings")
    )
    settings_of_all = {setting.name for kind in kinds for setting in fields(kind)}
    named = {f"{function_settings.PREFIX}{name.upper()}" for name in settings_of_all - {"policy"}}
    named.add(function_settings.POLICY_PREFIX)
    told = {cell for row in rows("| program | variable | means |") for cell in re.findall(r"`([A-Z_]+)", row[1])}

    assert len(named) > 8
    assert named <= told


def test_every_setting_of_the_policy_is_in_the_readme_with_its_default() -> None:
    """A threshold that is changed in the code is changed on the page that people plan with."""
    told = [(name, default) for name, default, _ in rows("| `MESHCERT_POLICY_…` | default | means |")]

    assert told == [(f"`{setting.name.upper()}`", f"{setting.default:g}") for setting in fields(Policy)]


def test_every_command_of_the_operator_is_in_the_readme() -> None:
    """With its exit codes: scripts depend on them."""
    told = {re.findall(r"meshcert (\w+)", command)[0] for command, _ in rows("| command | does |")}
    (codes,) = re.findall(r"^Exit codes: (.+)\.$", README, re.MULTILINE)

    assert told == set(cli.commands)
    assert [int(code) for code in re.findall(r"\d+", codes)] == list(cli_exit_codes.EXIT_CODES)


def test_every_way_of_rotating_is_in_the_readme() -> None:
    """A mesh file's author chooses between them."""
    told = {re.findall(r"`(\w+)`", name)[0] for name, _, _ in rows("| `rotation` | how | when it does not work |")}

    assert told == {str(rotation) for rotation in Rotation}


def test_alarms_that_the_readme_names_exist() -> None:
    """Whoever searches for an alarm's name must find it in AWS."""
    told = {
        name
        for row in rows("| something fails | what happens | what you do |")
        for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+\d*)`", row[1])
    }

    assert len(told) > 10
    assert told <= {alarm.name for alarm in alarms("color")}


def test_the_number_of_alarms_in_the_costs_is_that_of_the_runbook() -> None:
    """They are paid for by the piece."""
    assert f"| {len(alarms('color'))}, {costs.METRICS} and 1: $" in README


def test_every_story_of_the_demo_is_in_the_readme() -> None:
    """And no story that is not there."""
    assert set(re.findall(r"make demo STORY=([a-z-]+)", README)) == set(filter(None, STORIES))


def test_every_make_target_the_readme_names_exists() -> None:
    """A command in the README that does nothing would be the first thing a user meets."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))

    assert named
    assert named <= targets


@pytest.mark.parametrize("text", [README, LIFECYCLE], ids=["README", "lifecycle"])
def test_links_lead_somewhere(text: str) -> None:
    """Files exist, and the headings that are linked to are there; docs/ and the root are told apart by their links."""
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text)
    folder = ROOT if text is README else ROOT / "docs"

    assert links
    for name, anchor in links:
        page = text
        if name:
            assert (folder / name).exists(), name
            page = (folder / name).read_text()
        if anchor:
            assert anchor in {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}, anchor


def _anchor(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
