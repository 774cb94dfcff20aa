"""The README says what the code does, and what it does not do where everybody reads it."""

from __future__ import annotations

import re

import pytest

from local.demo.__main__ import STORIES
from meshcert.cli.costs import month
from meshcert.proxy import RotationMode
from stacks.runbook import alarms
from tests.docs.pages import PAGES, ROOT, rows

README = PAGES["README.md"]
FIRST_SCREEN = "\n".join(README.splitlines()[:40])


def test_the_first_screen_says_that_it_has_not_run_on_aws() -> None:
    """Whoever looks for something to use in production learns it before anything else."""
    assert "has not run in an AWS account yet" in FIRST_SCREEN
    assert "](docs/aws-unconfirmed.md)" in FIRST_SCREEN
    assert "`make verify-aws`" in FIRST_SCREEN


def test_the_first_screen_says_what_it_cannot_do() -> None:
    """The limits that most would otherwise find out at the end of a day."""
    assert "](docs/limits.md)" in FIRST_SCREEN
    assert "**Nothing is intercepted.**" in FIRST_SCREEN


def test_every_way_of_rotating_is_in_the_readme() -> None:
    """A mesh file's author chooses between them."""
    table = rows("README.md", "| `rotation` | how | when it does not work |")

    assert {re.findall(r"`(\w+)`", name)[0] for name, _, _ in table} == {str(rotation) for rotation in RotationMode}


def test_the_number_of_alarms_in_the_costs_is_that_of_the_runbook() -> None:
    """They are paid for by the piece."""
    assert f"| {len(alarms('color'))}, {month.METRICS} and 1: $" in README


def test_every_story_of_the_demo_is_in_the_readme() -> None:
    """And no story that is not there."""
    assert set(re.findall(r"make demo STORY=([a-z-]+)", README)) == set(filter(None, STORIES))


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    """A command that does nothing would be the first thing a user meets."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", PAGES[page], re.MULTILINE))

    assert named <= targets
    assert named or page != "README.md"


def test_the_demos_output_is_what_the_demo_prints() -> None:
    """Every step and every claim; the figures are those of one run."""
    program = "\n".join(path.read_text() for path in sorted((ROOT / "local" / "demo").glob("*.py")))
    steps = re.findall(r"^✓ (.+) [\d.]+ s$", README, re.MULTILINE)
    claims = re.findall(r"^│ (.+?) +│ yes ", README, re.MULTILINE)

    assert len(steps) > 5
    assert len(claims) > 5
    for step in steps:
        assert f'"{step}"' in program or f'"{step.rpartition(", ")[0]}, {{' in program, step
    for claim in claims:
        assert f'"{claim.replace("500", "{ENOUGH_REQUESTS}")}": (' in program, claim
