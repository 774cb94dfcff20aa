"""Policies of the user's on a task's role: none reaches what is meshcert's."""

from __future__ import annotations

import pytest

from meshcert.mesh import read_mesh
from meshcert.mesh.checks.applications.task_policies import may_meet
from meshcert.mesh.checks.findings import findings_of
from tests.meshcert.mesh.mesh_slips import ROOT, changed, faults_of

PLACE = "services.colorteller.application.task_policies"
HERE = "eu-central-1:111122223333"


def _statement(actions: list[str], *resources: str, effect: str = "Allow") -> bytes:
    statement = {"effect": effect, "actions": actions, "resources": list(resources)}
    return changed((PLACE, {"statements": [statement]}))


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("secretsmanager:GetSecretValue", "*"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:*"),
        ("secretsmanager:Get*", f"arn:aws:secretsmanager:{HERE}:secret:mesh*"),
        ("secretsmanager:*", f"arn:aws:secretsmanager:{HERE}:secret:meshcert/color/identity/colorgateway-??????"),
        ("secretsmanager:getsecretvalue", "arn:aws-cn:secretsmanager:*:*:secret:*"),
        ("dynamodb:Scan", f"arn:aws:dynamodb:{HERE}:table/*"),
        ("sqs:SendMessage", f"arn:aws:sqs:{HERE}:meshcert-color-orders"),
        ("kms:Decrypt", f"arn:aws:kms:{HERE}:key/*"),
        ("acm:ExportCertificate", f"arn:aws:acm:{HERE}:certificate/*"),
        ("acm-pca:IssueCertificate", "*"),
        ("dynamodb:PutItem", "arn:aws:dynamodb:*"),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/*"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:meshcert-color-export"),
        # A policy variable has a colon of its own, a default that may be anything, and no length.
        (
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:${aws:RequestedRegion}:111122223333:secret:meshcert/color/identity/colorgateway-*",
        ),
        (
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{HERE}:secret:${{aws:PrincipalTag/none, 'meshcert/color/identity/edge-AbCdEf'}}",
        ),
        # A wildcard at the end of a part reaches over colons.
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-central-1:*:meshcert/color/*"),
        ("s3:PutObject", "arn:aws:s3:*:meshcert-color-bundle-111122223333-eu-central-1/*"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::111122223333:policy/meshcert-*"),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/cdk-hnb659fds-deploy-role-111122223333-eu-central-1"),
        ("s3:PutObject", "arn:aws:s3:::cdk-hnb659fds-assets-111122223333-eu-central-1/*"),
        ("logs:PutLogEvents", "*"),
        ("logs:DeleteLogStream", f"arn:aws:logs:{HERE}:log-group:/meshcert/color/audit:*"),
        ("cloudwatch:DisableAlarmActions", "*"),
        ("scheduler:DeleteSchedule", f"arn:aws:scheduler:{HERE}:schedule/default/*"),
        ("cloudformation:UpdateStack", f"arn:aws:cloudformation:{HERE}:stack/color-*/*"),
    ],
)
def test_a_statement_that_could_reach_what_is_meshcerts_is_refused(action: str, resource: str) -> None:
    """Of this mesh, or of any other in the account: by name, or by a wildcard."""
    (fault,) = faults_of(_statement([action], resource))

    assert (fault.place, "it reaches" in fault.problem) == (f"{PLACE}.statements[0].resources[0]", True)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:shop/*"),
        ("secretsmanager:ListSecrets", "*"),
        ("dynamodb:*", f"arn:aws:dynamodb:{HERE}:table/orders"),
        ("dynamodb:*", f"arn:aws:dynamodb:{HERE}:table/orders/index/*"),
        ("kms:Decrypt", f"arn:aws:kms:{HERE}:key/0b0a1c9e-0000-4000-8000-000000000000"),
        ("s3:GetObject", "arn:aws:s3:::shop-orders/*"),
        ("sns:Publish", "*"),
        ("sts:AssumeRole", "arn:aws:iam::444455556666:role/partner"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:shop/*"),
        ("dynamodb:GetItem", "arn:aws:dynamodb:${aws:RequestedRegion}:111122223333:table/orders"),
        ("logs:PutLogEvents", f"arn:aws:logs:{HERE}:log-group:/shop/*"),
        ("cloudwatch:PutMetricData", "*"),
        ("ecs:DescribeTasks", "arn:aws:ecs:*:*:task/jobs/*"),
        ("ecs:RunTask", "arn:aws:ecs:*:*:task-definition/report:*"),
        ("s3:GetObject", "arn:aws:s3:::shop-*/${aws:PrincipalTag/team}/*"),
    ],
)
def test_what_names_resources_of_the_users_is_taken(action: str, resource: str) -> None:
    """So is what tells no more than names."""
    assert not faults_of(_statement([action], resource))


def test_a_deny_may_name_anything() -> None:
    """It gives nothing."""
    assert not faults_of(_statement(["secretsmanager:*"], "*", effect="Deny"))


@pytest.mark.parametrize("action", ["*", "GetObject", "s3 GetObject"])
def test_an_action_has_a_service(action: str) -> None:
    """A bare wildcard is an administrator."""
    (fault,) = faults_of(_statement([action], "arn:aws:s3:::shop/*"))

    assert fault.place == f"{PLACE}.statements[0].actions[0]"


def test_services_in_a_cluster_of_yours_are_not_reached() -> None:
    """There, neither cluster nor service has a name of meshcert's."""
    changes: list[tuple[str, object]] = [("cluster", {"existing": "shop"})]
    for action, resource, reached in (
        ("ecs:ExecuteCommand", f"arn:aws:ecs:{HERE}:task/shop/*", True),
        ("ecs:UpdateService", f"arn:aws:ecs:{HERE}:service/shop/colorteller", True),
        ("ecs:UpdateService", f"arn:aws:ecs:{HERE}:service/shop/worker", False),
    ):
        statement = {"actions": [action], "resources": [resource]}
        assert bool(faults_of(changed(*changes, (PLACE, {"statements": [statement]})))) is reached, resource


@pytest.mark.parametrize(
    "arn",
    ["orders", "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws-cn:iam::aws:policy/AdministratorAccess"],
)
def test_a_managed_policy_is_one_and_not_of_everything(arn: str) -> None:
    """Those of AWS's own that reach every secret or table are known."""
    (fault,) = faults_of(changed((PLACE, {"managed": [arn]})))

    assert fault.place == f"{PLACE}.managed[0]"


def test_what_a_managed_policy_allows_is_told_as_unseen() -> None:
    """A finding: nobody is asked about it."""
    mesh = read_mesh(changed((PLACE, {"managed": ["arn:aws:iam::111122223333:policy/orders"]}))).mesh
    assert mesh

    assert f"{PLACE}.managed[0]" in {finding.place for finding in findings_of(mesh, ROOT)}


def test_statements_fit_into_a_role() -> None:
    """Else IAM would refuse them in the middle of a deploy."""
    many = [f"arn:aws:s3:::shop-orders-{number:030}/*" for number in range(90)]
    (fault,) = faults_of(_statement(["s3:GetObject"], *many))

    assert (fault.place, "managed policy" in fault.remedy) == (f"{PLACE}.statements", True)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("*", "", True),
        ("", "", True),
        ("a*", "*b", True),
        ("a*c", "ab?", True),
        ("a?c", "a*d", False),
        ("ab", "a", False),
        ("a*b*c", "abbcd", False),
        ("*x*", "a*b", True),
    ],
)
def test_two_patterns_meet_if_one_text_matches_both(one: str, other: str, *, meet: bool) -> None:
    """Whichever is asked about the other."""
    assert (may_meet(one, other), may_meet(other, one)) == (meet, meet)
