"""
What each role of a mesh may do whose certificates AWS Private CA issues, against what it did in a whole life.

What such a mesh may do like any other is seen used in tests/e2e/test_rights.py, over more deploys and orders than here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.grants import Role, unused, used_by_lambda
from meshcert import naming

if TYPE_CHECKING:
    from tests.e2e.lived_mesh import LivedMesh

SERVICES = ("gateway", "ui", "appserver")
ROLES = ("export", "verify", "renewal", "dispatch", naming.OPERATOR_ROLE, *SERVICES)
OF_ACM = {
    "export": {
        "acm:DescribeCertificate",
        "acm:GetCertificate",
        "acm:ListTagsForCertificate",
        "acm:ExportCertificate",
    },
    "renewal": {"acm:DescribeCertificate", "acm:GetCertificate", "acm:RenewCertificate"},
    naming.OPERATOR_ROLE: {"acm:DescribeCertificate", "acm:GetCertificate"},
}
"""Rights of every mesh: an identity may come from ACM, and go back to it if a deploy fails."""
ELSEWHERE = {
    "export": {
        # Of an identity that leaves the mesh file; and routes that stand outside task definitions.
        "dynamodb:DeleteItem",
    },
    "renewal": {
        # Of an identity that leaves the mesh file.
        "dynamodb:DeleteItem",
        # Of a service that is redeployed, and of one whose tasks are late.
        "ecs:UpdateService",
        "ecs:ListServiceDeployments",
        "ecs:ListTagsForResource",
        # Of certificates whose key has leaked.
        "acm-pca:RevokeCertificate",
    },
    naming.OPERATOR_ROLE: {
        # To order, and to see a deployment under way.
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
        "ecs:ListServiceDeployments",
        # To say whether a leaked key's certificate will stand in a list.
        "acm-pca:DescribeCertificateAuthority",
    },
}
"""Used by what a mesh of any issuer does: tests/e2e/test_rights.py deploys, redeploys and takes away."""


@pytest.fixture(scope="module", autouse=True)
def day_of_an_operator(lived: LivedMesh) -> None:
    """Everything an operator may look at, whatever there is to see: nothing is renewed any more."""
    for command in (["plan"], ["status"], ["status", "--recorded"], ["verify", "ui"], ["history", "ui"]):
        assert lived.operator.run(*command, "--json").document


@pytest.mark.parametrize("owner", ROLES)
def test_what_private_ca_takes_is_used_and_nothing_besides(lived: LivedMesh, owner: str) -> None:
    """Granted = used, action by action and resource by resource."""
    role = Role(lived.aws, "yelb", owner)
    elsewhere = OF_ACM.get(owner, set()) | ELSEWHERE.get(owner, set())

    left = set(unused(role.grants(), role.decisions())) - used_by_lambda(role)

    assert {grant for grant in left if grant.action not in elsewhere} == set()


@pytest.mark.parametrize("owner", ROLES)
def test_no_role_was_refused_what_it_needs(lived: LivedMesh, owner: str) -> None:
    """Over a deploy, renewals by themselves and by order, and an operator's commands."""
    role = Role(lived.aws, "yelb", owner)

    assert role.decisions()
    assert role.denied() == []


def test_the_export_role_alone_has_called_what_issues(lived: LivedMesh) -> None:
    """Guards the sums above by what was seen."""
    issuing = ("acm-pca:IssueCertificate", "ssm:GetParameter", "kms:Encrypt")
    called = {
        (owner, decision.action)
        for owner in ROLES
        for decision in Role(lived.aws, "yelb", owner).decisions()
        if decision.action in issuing
    }

    assert called == {("export", action) for action in issuing}
