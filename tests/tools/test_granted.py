"""``make verify-aws`` asks for every right that a template grants, or says why not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.mesh import load_mesh
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.granted import CHECKS, NOT_ASKED
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.stacks.synthesis import Templates

DENIED = "acm:ListTagsForCertificate"


class Asked:
    """An account with these templates, in which a policy of the organization denies one action."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self.actions: set[tuple[str, str]] = set()

    def read(self, action: str, **arguments: Any) -> Mapping[str, Any]:
        """Templates, and what the simulator says."""
        if action == "cloudformation:GetTemplate":
            return {"TemplateBody": self._templates.by_stack[arguments["StackName"].removeprefix("color-")]}
        assert action in {"iam:SimulatePrincipalPolicy", "iam:SimulateCustomPolicy"}
        (simulated,) = arguments["ActionNames"]
        (resource,) = arguments["ResourceArns"]
        assert "?" not in resource
        if action == "iam:SimulateCustomPolicy":
            return {"EvaluationResults": [{"EvalDecision": "allowed"}]}
        self.actions.add((arguments["PolicySourceArn"].rpartition("/")[2], simulated))
        is_denied = simulated == DENIED
        detail = {"AllowedByOrganizations": not is_denied}
        decision = "explicitDeny" if is_denied else "allowed"
        return {"EvaluationResults": [{"EvalDecision": decision, "OrganizationsDecisionDetail": detail}]}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mesh file that uses what needs rights of its own."""
    file = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    file.write_bytes(changed(("hierarchies.colorteller.revocation", "crl")))
    return file


@pytest.fixture(scope="module")
def templates(mesh: Path) -> Templates:
    """Its templates."""
    return synthesise(mesh.parent / "out", mesh=str(mesh))


def test_every_granted_right_is_asked_for_or_its_reason_is_said(mesh: Path, templates: Templates) -> None:
    """And a right that the organization denies is found, with the role that has it."""
    asked = Asked(templates)
    account: Any = asked
    deployment = Deployment(load_mesh(mesh), account, "aws", "eu-west-1", "111122223333", dt.datetime.now(dt.UTC))

    findings = [finding for check in CHECKS for finding in check.findings(deployment)]

    # By action: a function's own log group has no name in a template, the audit's has.
    granted = {action for statement in templates.statements() for action in statement.actions}
    not_asked = granted - {action for _, action in asked.actions}
    assert not_asked == NOT_ASKED.keys()
    wrong = {finding.subject for finding in findings if finding.verdict is not Verdict.CONFIRMED}
    assert wrong == {role for role, action in asked.actions if action == DENIED} == {"meshcert-color-eu-west-1-export"}
    (told,) = (finding for finding in findings if finding.verdict is Verdict.CONTRADICTED)
    assert f"{DENIED}: explicitDeny, should be allowed (a policy of the organization)" in told.seen
