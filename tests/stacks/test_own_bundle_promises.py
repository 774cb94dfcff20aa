"""Promises of a mesh that publishes its own SPIFFE bundle: who writes it, and who reads it."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.mesh import load_mesh
from meshcert.mesh.checks.limits import resources
from stacks.federation_alarms import own_bundle_alarms
from tests.meshcert.mesh.test_trust_domains import SPIFFE
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Statement, Templates

ARN = "arn:aws:cloudfront::111122223333:distribution/E1ABCDEF"
OPEN: dict[str, dict[str, Any]] = {"private": {}, "public": {"public": True}, "distribution": {"distribution": ARN}}
OBJECT = "/bundle.json"


def _file(folder: Path, **published: Any) -> Path:
    values = copy.deepcopy(SPIFFE)
    values["mesh"]["published_bundle"] = {"hierarchies": ["yelb"], **published}
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


@pytest.fixture(scope="module")
def by_readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Templates]:
    """Templates of the mesh by who may read the bundle."""
    found = {}
    for readers, published in OPEN.items():
        folder = tmp_path_factory.mktemp(readers)
        found[readers] = synthesise(folder / "assembly", mesh=str(_file(folder, **published)))
    return found


@pytest.fixture(scope="module")
def private(by_readers: dict[str, Templates]) -> Templates:
    """Those of the default."""
    return by_readers["private"]


def _of(templates: Templates, role: str) -> list[Statement]:
    found = [statement for statement in templates.statements() if re.match(role, statement.role)]
    assert found, role
    return found


def _bucket(templates: Templates) -> dict[str, Any]:
    (found,) = templates.resources("AWS::S3::Bucket")
    return found.properties


def _policy(templates: Templates) -> list[dict[str, Any]]:
    (found,) = templates.resources("AWS::S3::BucketPolicy")
    statements: list[dict[str, Any]] = found.properties["PolicyDocument"]["Statement"]
    return statements


def test_the_publisher_reads_trust_bundles_and_writes_one_object(private: Templates) -> None:
    """No identity's secret, no label, no table; and it runs every five minutes."""
    statements = _of(private, "OwnBundlePublisherRole")

    rights = {action: " ".join(each.resources) for each in statements for action in each.actions}
    assert set(rights) == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "kms:Decrypt",
        "secretsmanager:GetSecretValue",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    }
    assert re.findall(r"secret:[^\"]+", rights["secretsmanager:GetSecretValue"]) == [
        "secret:meshcert/yelb/trust/yelb-??????"
    ]
    assert rights["s3:PutObject"].count(OBJECT) == 1
    (key,) = [statement for statement in statements if "kms:Decrypt" in statement.actions]
    assert "kms:ViaService" in key.conditions["StringEquals"]
    (schedule,) = [
        each.properties
        for each in private.resources("AWS::Scheduler::Schedule")
        if each.properties["Name"] == "meshcert-yelb-publisher"
    ]
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"


def test_nobody_else_writes_to_the_bucket_and_the_deploy_function_sees_the_one_object(private: Templates) -> None:
    """The bucket's own policy denies it to everybody but the publisher's role; no other role has a right."""
    (only,) = [each for each in _policy(private) if each.get("Sid") == "OnlyThePublisherWrites"]
    roles = {
        action: {re.sub(r"[0-9A-F]{8}$", "", each.role) for each in private.statements() if action in each.actions}
        for action in ("s3:PutObject", "s3:ListBucket")
    }

    assert (only["Effect"], only["Principal"], only["Action"]) == ("Deny", {"AWS": "*"}, "s3:PutObject")
    assert json.dumps(only["Condition"]).count("-publisher") == 1
    assert roles == {
        "s3:PutObject": {"OwnBundlePublisherRole"},
        "s3:ListBucket": {"OwnBundlePublisherRole", "ExportRole", "Operator"},
    }


@pytest.mark.parametrize(
    ("readers", "allowed", "blocks_policies"),
    [
        ("private", [], True),
        ("public", [({"AWS": "*"}, None)], False),
        (
            "distribution",
            [({"Service": "cloudfront.amazonaws.com"}, {"StringEquals": {"aws:SourceArn": ARN}})],
            True,
        ),
    ],
)
def test_who_may_read_it_the_mesh_file_says_and_by_default_nobody(
    by_readers: dict[str, Templates], readers: str, *, allowed: list[Any], blocks_policies: bool
) -> None:
    """Nobody but everybody needs less of Block Public Access, and that only for policies; TLS everybody needs."""
    templates = by_readers[readers]
    allowing = [each for each in _policy(templates) if each["Effect"] == "Allow"]

    assert [(each["Principal"], each.get("Condition")) for each in allowing] == allowed
    assert all(each["Action"] == "s3:GetObject" and OBJECT in str(each["Resource"]) for each in allowing)
    assert _bucket(templates)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": blocks_policies,
        "RestrictPublicBuckets": blocks_policies,
    }
    (plain,) = [each for each in _policy(templates) if "aws:SecureTransport" in str(each.get("Condition"))]
    assert (plain["Effect"], plain["Action"]) == ("Deny", "s3:*")


def test_the_bucket_is_kept_and_its_policy_goes(private: Templates) -> None:
    """When it leaves the template; what a failed first deploy has made, and nobody has written to, goes again."""
    (bucket,) = private.resources("AWS::S3::Bucket")
    (policy,) = private.resources("AWS::S3::BucketPolicy")

    assert bucket.definition["DeletionPolicy"] == "RetainExceptOnCreate"
    assert "DeletionPolicy" not in policy.definition


def test_the_first_run_comes_after_everything_that_may_fail(private: Templates) -> None:
    """CloudFormation deletes no bucket that holds anything: a first deploy could not be taken back."""
    (schedule,) = [
        each for each in private.resources("AWS::Scheduler::Schedule") if "publisher" in each.properties["Name"]
    ]
    published = {
        each.logical_id for each in private.resources("Custom::MeshcertTrustBundle", "Custom::MeshcertIdentity")
    }

    assert published <= set(schedule.definition["DependsOn"])


def test_its_resources_are_counted_and_its_alarm_is_there(private: Templates, tmp_path: Path) -> None:
    """Before anything is deployed."""
    names = {
        each.properties["AlarmName"].removeprefix("meshcert-yelb-")
        for each in private.resources("AWS::CloudWatch::Alarm")
    }

    assert resources(load_mesh(_file(tmp_path)))["identities"] == len(private.by_stack["identities"]["Resources"])
    assert {alarm.name for alarm in own_bundle_alarms("yelb")} <= names


def test_a_mesh_that_publishes_nothing_has_none_of_it(templates: Templates) -> None:
    """No bucket, function, schedule, alarm, right or variable more."""
    text = json.dumps(templates.by_stack)

    assert not re.findall(r"(?i)publisher|OwnBundle|bundle-bucket|BUNDLE_BUCKET|published_hierarchies", text)
