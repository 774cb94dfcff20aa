"""
What each role may do against what it did, over the whole demo and the deploys after it.

The local AWS evaluates every call against the deployed policies and keeps a log of (role, action, resource). What it
cannot evaluate is asserted on the templates (tests/stacks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError  # noqa: TID251 -- the tests speak to AWS

from meshcert import naming

if TYPE_CHECKING:
    from tests.e2e.conftest import PlayedDemo

REGION = "eu-west-1"
ROLES = ("export", "colorgateway", "colorteller")
# Lambda itself uses these of its function's role: it writes the logs and the failed events. On the local AWS it does so
# without asking IAM, so their use cannot be seen here.
USED_BY_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}


def _granted(demo: PlayedDemo, role: str) -> set[str]:
    iam, name = demo.mesh.client("iam"), naming.role("color", REGION, role)
    granted = set()
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for statement in document["Statement"]:
            actions = statement["Action"]
            granted |= {actions} if isinstance(actions, str) else set(actions)
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    return granted


def _decisions(demo: PlayedDemo, role: str) -> list[dict[str, str]]:
    name = naming.role("color", REGION, role)
    return [decision for decision in demo.aws.control("GET", "/_local/iam/log") if decision["role"] == name]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_it_does_and_nothing_besides(demo: PlayedDemo, role: str) -> None:
    """Granted = used: an action nobody needed would be a right too many."""
    used = {decision["action"] for decision in _decisions(demo, role) if decision["allowed"]}

    assert used
    assert _granted(demo, role) - USED_BY_LAMBDA == used


@pytest.mark.parametrize("role", ROLES)
def test_no_role_was_ever_refused_what_it_needs(demo: PlayedDemo, role: str) -> None:
    """Over deploys, renewals and restarts, none of the product's calls was denied."""
    assert [decision for decision in _decisions(demo, role) if not decision["allowed"]] == []


def test_a_role_touches_only_this_meshs_resources(demo: PlayedDemo) -> None:
    """Every secret carries the mesh's prefix; a task's secrets are its own identity and its peer's trust bundle."""
    for service, peer in (("colorgateway", "colorteller"), ("colorteller", "colorgateway")):
        secrets = {
            decision["resource"].split(":secret:")[1].rsplit("-", 1)[0]
            for decision in _decisions(demo, service)
            if ":secret:" in decision["resource"]
        }

        assert secrets == {
            naming.identity_secret("color", service),
            naming.trust_bundle_secret("color", peer),
        }


@pytest.mark.parametrize(
    ("service", "secret"),
    [
        ("colorgateway", naming.identity_secret("color", "colorteller")),
        ("colorteller", naming.identity_secret("color", "colorgateway")),
        ("execution", naming.identity_secret("color", "colorgateway")),
    ],
)
def test_no_role_reads_another_identitys_secret(demo: PlayedDemo, service: str, secret: str) -> None:
    """The gateway's task cannot read the teller's key, nor the other way round, nor ECS itself any of them."""
    arn = demo.mesh.client("iam").get_role(RoleName=naming.role("color", REGION, service))["Role"]["Arn"]

    with pytest.raises(ClientError, match="AccessDenied"):
        demo.aws.client_as(arn, "secretsmanager").get_secret_value(SecretId=secret)


def test_even_an_administrator_writes_no_material(demo: PlayedDemo) -> None:
    """The secret's own policy denies values and labels from anyone but the export role, whatever else they may do."""
    iam = demo.mesh.client("iam")
    arn = iam.create_role(
        RoleName="careless-administrator",
        AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
        '"Principal":{"AWS":"arn:aws:iam::111122223333:root"}}]}',
    )["Role"]["Arn"]
    everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    iam.put_role_policy(RoleName="careless-administrator", PolicyName="Everything", PolicyDocument=everything)
    vault = demo.aws.client_as(arn, "secretsmanager")
    secret = naming.identity_secret("color", "colorteller")

    versions = vault.describe_secret(SecretId=secret)["VersionIdsToStages"]
    older = next(version for version, labels in versions.items() if "AWSPREVIOUS" in labels)
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.put_secret_value(SecretId=secret, SecretString="careless")
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.update_secret(SecretId=secret, SecretString="careless")
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.update_secret_version_stage(
            SecretId=secret,
            VersionStage="AWSCURRENT",
            MoveToVersionId=older,
            RemoveFromVersionId=demo.mesh.current_version("colorteller"),
        )
    assert vault.describe_secret(SecretId=secret)["VersionIdsToStages"] == versions
