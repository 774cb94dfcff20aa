"""Promises of a mesh that trusts foreign trust domains: who reads and writes their bundles."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from evidence.fixtures.bundles import document
from evidence.fixtures.pki import Hierarchy
from meshcert.deploying.foreign_bundles import read_foreign_bundle
from meshcert.errors import MeshInvalid
from meshcert.federation.endpoints import DeclaredEndpoint, read_endpoints
from meshcert.mesh import load_mesh
from meshcert.mesh.checks.limits import resources
from stacks.federation_alarms import federation_alarms
from tests.meshcert.mesh.test_trust_domains import BOTH, ENDPOINT, SPIFFE, URL
from tests.stacks.synthesis import assemble, synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Statement, Templates

FRIEND = "friend.example"
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/yelb/federation/friend.example-AbCdEf"


def _written(folder: Path, bundle: bytes) -> Path:
    """A mesh file with a partner that has an endpoint, and a friend whose bundle is a file."""
    (folder / "friend.json").write_bytes(bundle)
    values = copy.deepcopy(SPIFFE)
    values["mesh"]["deletion_protection"] = True
    values["trust_domains"] = {
        "partner.example": {"bundle_endpoint": ENDPOINT},
        FRIEND: {"file": "friend.json"},
    }
    ui = values["virtual_nodes"]["ui"]["listeners"][0]["tls"]
    ui["validation"] = BOTH
    appserver = values["virtual_nodes"]["appserver"]["listeners"][0]["tls"]["validation"]
    appserver["trust"]["trust_domains"] = [FRIEND]
    appserver["subject_alternative_names"]["match"]["exact"].append(f"spiffe://{FRIEND}/web")
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


@pytest.fixture(scope="module")
def mesh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mesh file, with the friend's bundle beside it."""
    return _written(tmp_path_factory.mktemp("mesh"), document(Hierarchy(name="friend").root_pem, sequence=4))


@pytest.fixture(scope="module")
def federated(mesh_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Its templates."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stacks.identities.ROOT", mesh_file.parent)
        return synthesise(tmp_path_factory.mktemp("assembly"), mesh=str(mesh_file))


def _of(templates: Templates, role: str) -> list[Statement]:
    found = [statement for statement in templates.statements() if re.match(role, statement.role)]
    assert found, role
    return found


def _secrets(statements: list[Statement], action: str) -> set[str]:
    """The names of secrets in the resources of statements with an action."""
    resources = [each for statement in statements if action in statement.actions for each in statement.resources]
    return {name for each in resources for name in re.findall(r"secret:([^\"]+)", each)}


def _published(templates: Templates, trust_domain: str) -> dict[str, Any]:
    (found,) = [
        each.properties
        for each in templates.resources("Custom::MeshcertForeignBundle")
        if each.properties["TrustDomain"] == trust_domain
    ]
    return found


def test_the_federate_role_reads_and_writes_foreign_bundles_and_nothing_else(federated: Templates) -> None:
    """No identity's secret, no own trust bundle, no other table."""
    statements = _of(federated, "FederationFederateRole")

    assert {action for statement in statements for action in statement.actions} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    }
    assert _secrets(statements, "secretsmanager:PutSecretValue") == {"meshcert/yelb/federation/*"}
    assert _secrets(statements, "secretsmanager:GetSecretValue") == {"meshcert/yelb/federation/*"}
    (key,) = [statement for statement in statements if "kms:Decrypt" in statement.actions]
    assert "kms:ViaService" in key.conditions["StringEquals"]


def test_the_table_of_fetches_can_go_with_the_last_endpoint(federated: Templates) -> None:
    """CloudFormation would leave a protected one behind, and fail to make it at the next deploy."""
    (protected,) = [
        each.properties["DeletionProtectionEnabled"]
        for each in federated.resources("AWS::DynamoDB::Table")
        if each.properties["TableName"] == "meshcert-yelb-bundle-fetches"
    ]

    assert protected is False


@pytest.mark.parametrize(
    ("trust_domain", "writers"), [("partner.example", {"export", "federate"}), (FRIEND, {"export"})]
)
def test_a_secrets_own_policy_names_who_publishes(federated: Templates, trust_domain: str, writers: set[str]) -> None:
    """A bundle from a file is a deploy's alone."""
    (secret,) = [
        each
        for each in federated.resources("AWS::SecretsManager::Secret")
        if each.properties["Name"] == f"meshcert/yelb/federation/{trust_domain}"
    ]
    (policy,) = [
        each.properties["ResourcePolicy"]["Statement"]
        for each in federated.resources("AWS::SecretsManager::ResourcePolicy")
        if each.properties["SecretId"]["Ref"] == secret.logical_id
    ]

    allowed = {
        statement["Action"]: json.dumps(statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"])
        for statement in policy
    }
    for action in ("secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"):
        assert set(re.findall(r"-(export|federate|renewal)\"", allowed[action])) == writers


@pytest.mark.parametrize(
    ("service", "foreign"), [("Ui", {"partner.example"}), ("Appserver", {FRIEND}), ("Redis", set())]
)
def test_tasks_read_the_foreign_bundles_that_they_use_and_no_others(
    federated: Templates, service: str, foreign: set[str]
) -> None:
    """As with identities and trust bundles."""
    read = _secrets(_of(federated, f"(?i){service}TaskRole"), "secretsmanager:GetSecretValue")

    assert {name for name in read if "/federation/" in name} == {
        f"meshcert/yelb/federation/{each}-??????" for each in foreign
    }


def test_the_function_is_told_whom_to_ask_and_runs_every_five_minutes(federated: Templates) -> None:
    """Only endpoints; a file is nobody to ask."""
    (function,) = [
        each.properties
        for each in federated.resources("AWS::Lambda::Function")
        if each.properties["FunctionName"] == "meshcert-yelb-federate"
    ]
    (schedule,) = [
        each.properties
        for each in federated.resources("AWS::Scheduler::Schedule")
        if each.properties["Name"] == "meshcert-yelb-federate"
    ]

    told = function["Environment"]["Variables"]["MESHCERT_BUNDLE_ENDPOINTS"]
    assert read_endpoints(told) == (DeclaredEndpoint("partner.example", URL),)
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"


def test_a_deploy_publishes_a_files_bundle_and_no_other_is_believed(federated: Templates) -> None:
    """The deploy function's environment has the digest of what the stacks declare."""
    (deploy,) = [
        each.properties["Environment"]["Variables"]
        for each in federated.resources("AWS::Lambda::Function")
        if each.properties["FunctionName"] == "meshcert-yelb-deploy"
    ]

    order = read_foreign_bundle(
        _published(federated, FRIEND) | {"SecretId": ARN}, "yelb", deploy["MESHCERT_FOREIGN_BUNDLES"]
    )

    assert order.bundle is not None
    assert order.bundle.sequence == 4
    assert "Bundle" not in _published(federated, "partner.example")


def test_a_file_that_is_no_bundle_stops_the_deploy_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its place."""
    file = _written(tmp_path, b"<html>")
    monkeypatch.setattr("stacks.identities.ROOT", tmp_path)

    with pytest.raises(MeshInvalid, match=r"trust_domains\.friend\.example\.file: friend\.json is no bundle"):
        assemble(tmp_path / "assembly", mesh=str(file))


def test_its_resources_are_counted_and_its_alarms_are_there(federated: Templates, mesh_file: Path) -> None:
    """Before anything is deployed."""
    names = {
        each.properties["AlarmName"].removeprefix("meshcert-yelb-")
        for each in federated.resources("AWS::CloudWatch::Alarm")
    }

    assert resources(load_mesh(mesh_file))["identities"] == len(federated.by_stack["identities"]["Resources"])
    assert {alarm.name for alarm in federation_alarms("yelb")} <= names


def test_a_mesh_without_foreign_trust_domains_has_none_of_it(templates: Templates) -> None:
    """No secret, function, table, schedule, alarm, right or variable more."""
    text = json.dumps(templates.by_stack)

    assert not re.findall(r"(?i)federat\w*|foreign\w*|bundle-fetches", text)
