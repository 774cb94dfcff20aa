"""docs/aws-unconfirmed.md against what a trial reports."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from meshcert.errors import IdentityMissing
from meshcert.mesh import load_mesh
from tests.docs.pages import PAGES, rows
from tools.aws_checks import CHECKS
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.verdicts import Finding, Verdict
from tools.trial.assumptions import ASSUMED, NOT_TRIED, told
from tools.trial.steps import MESH_FILE, REMOVAL, STEPS


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


class Nothing:
    """An account that nothing has been deployed to."""

    def read(self, operation: str, **_arguments: Any) -> Any:
        """Whose account it is; what else is asked for is not there."""
        if operation == "sts:GetCallerIdentity":
            return {"Arn": "arn:aws:iam::111122223333:root", "Account": "111122223333"}
        raise IdentityMissing(operation, "deploy it")


def test_the_page_says_how_much_a_trial_fills_in() -> None:
    """If every step succeeds, and every check confirms whatever the trial's mesh has: the other lines stay open."""
    mesh = load_mesh(MESH_FILE)
    deployment = Deployment.planned(mesh, Nothing(), "eu-west-1", dt.datetime.now(dt.UTC))  # type: ignore[arg-type]
    found = [
        Finding(check.name, check.assumption, finding.subject, "", Verdict.CONFIRMED, "")
        for check in CHECKS
        for finding in check.findings(deployment)
    ]
    issuers = {name: identity.issuer for name, identity in mesh.identities.items()}
    verdicts = [told(each, found, [*STEPS, REMOVAL], issuers) for each in ASSUMED]
    counted = (len(verdicts) - verdicts.count(NOT_TRIED), len(verdicts))

    said = {page: re.findall(r"(\d+) of (?:the|its|these) (\d+) lines", text) for page, text in PAGES.items()}
    assert {page: numbers for page, numbers in said.items() if numbers} == {
        page: [(str(counted[0]), str(counted[1]))] for page in ("README.md", "docs/aws-unconfirmed.md")
    }
    assert set(verdicts) == {Verdict.CONFIRMED, NOT_TRIED}
