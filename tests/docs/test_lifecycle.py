"""``docs/lifecycle.md`` says what the code does, step by step, label by label, test by test."""

from __future__ import annotations

import re

import pytest

from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, PENDING, PREVIOUS, QUARANTINED
from meshcert.lifecycle.deciding.steps import Action
from tests.docs.pages import PAGES, ROOT

PAGE = PAGES["docs/lifecycle.md"]
TESTS = ROOT / "tests"
NOT_OURS = "Not the lifecycle: "
NAMED_AFTER = re.compile(r"def (test_r(\d+)_\w+)\(")


def rivals() -> dict[int, str]:
    """The last cell of each row of the list of others' failures, by number."""
    return {int(number): last for number, last in re.findall(r"^\| R(\d+) \|.*\| (.+) \|$", PAGE, re.MULTILINE)}


def named_after_rivals() -> set[tuple[int, str]]:
    """Number and ``path::name`` of every test that bears a number."""
    return {
        (int(number), f"{path.relative_to(ROOT)}::{name}")
        for path in TESTS.rglob("*.py")
        for name, number in NAMED_AFTER.findall(path.read_text())
    }


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.NOTHING])
def test_every_step_is_on_the_page(action: Action) -> None:
    """In a plan and in the audit log it has this name."""
    assert f"`{action}`" in PAGE


@pytest.mark.parametrize("label", [CURRENT, PREVIOUS, PENDING, LAST_GOOD, QUARANTINED])
def test_every_label_is_on_the_page(label: str) -> None:
    """Whoever looks at a secret meets them."""
    assert f"| `{label}` |" in PAGE


def test_every_failure_of_others_has_its_line() -> None:
    """R1 to R30, in order."""
    assert list(rivals()) == list(range(1, 31))


@pytest.mark.parametrize(("number", "line"), rivals().items(), ids=[f"R{number}" for number in rivals()])
def test_every_test_that_a_line_names_exists(number: int, line: str) -> None:
    """A line without a test of its own number says why."""
    named = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", line)
    own = [name for _, name in named if name.startswith(f"test_r{number}_")]

    assert own or line.startswith((NOT_OURS, "There is no "))
    assert named or re.search(r"R\d+$", line)
    for path, name in named:
        assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{name}"


def test_every_test_named_after_a_failure_is_in_its_line() -> None:
    """So the list is complete the other way round, too."""
    lines = rivals()

    named = named_after_rivals()

    assert len(named) > 10
    assert {test for number, test in named if f"`{test}`" not in lines[number]} == set()
