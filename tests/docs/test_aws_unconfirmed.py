"""docs/aws-unconfirmed.md against what a trial reports."""

from __future__ import annotations

from tests.docs.pages import rows
from tools.aws_checks import CHECKS
from tools.trial.assumptions import ASSUMED
from tools.trial.steps import REMOVAL, STEPS


def test_the_page_lists_what_the_report_has_lines_for() -> None:
    """Of each assumption: what tells it, or that nothing of ours does."""
    page = "docs/aws-unconfirmed.md"
    first = {(of, what): by for of, what, by in rows(page, "| of | assumed | told by |")}
    second = {what for what, _, _ in rows(page, "| assumed | what rests on it | what would confirm it |")}
    of_private_ca = {each.what for each in ASSUMED if each.what in second}

    assert first == {
        (each.about, each.what): each.told_by or "nothing of ours" for each in ASSUMED if each.what not in second
    }
    assert of_private_ca == second


def test_what_tells_an_assumption_exists() -> None:
    """A renamed check or step would leave a line untold for ever."""
    assert {check for each in ASSUMED for check in each.checks} <= {check.name for check in CHECKS}
    assert {step for each in ASSUMED for step in each.steps} <= {*STEPS, REMOVAL}
