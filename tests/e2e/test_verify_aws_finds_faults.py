"""
Planted faults that the command finds, and a renewal that it sees.

On the mesh whose bad version has gone back: a history is no fault. What is broken here is not put back.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from local.demo.scene import MUTUAL
from local.running_mesh import wait_until
from meshcert import naming
from meshcert.mesh import load_mesh
from tests.e2e.verifying import deployment_of, findings_in, verify_aws
from tools.aws_checks.account import Account
from tools.aws_checks.deployment import Deployment, NotDeployed
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_mesh import RunningMesh


@pytest.fixture
def mesh(fresh_mesh: RunningMesh) -> RunningMesh:
    """Its bad version has gone back."""
    return fresh_mesh


def test_planted_faults_are_found_and_nothing_else(mesh: RunningMesh) -> None:
    """A lost permission, half a publication, a policy removed, a dead letter; rule, clock, mapping and alarm off."""
    identity = naming.identity_secret(mesh.name, "colorteller")
    authority = mesh.certificate("colorteller")["CertificateAuthorityArn"]
    deployment = deployment_of(mesh)
    rule = next(iter(deployment.resources("renewal", "AWS::Events::Rule").items()))
    (queue,) = deployment.resources("identities", "AWS::SQS::Queue").items()
    schedule = next(each for each in deployment.resources("renewal", "AWS::Scheduler::Schedule") if "Tick" in each)
    mapping = next(iter(deployment.resources("renewal", "AWS::Lambda::EventSourceMapping").items()))
    as_export = mesh.aws.client_as(deployment.role_arn(naming.EXPORT_ROLE), "secretsmanager")

    mesh.client("acm-pca").delete_permission(CertificateAuthorityArn=authority, Principal="acm.amazonaws.com")
    as_export.put_secret_value(
        SecretId=identity, ClientRequestToken="a" * 64, SecretString="{}", VersionStages=["AWSPENDING"]
    )
    mesh.client("secretsmanager").delete_resource_policy(SecretId=naming.trust_bundle_secret(mesh.name, "colorteller"))
    mesh.client("events").disable_rule(Name=rule[1]["PhysicalResourceId"])
    mesh.client("sqs").send_message(QueueUrl=queue[1]["PhysicalResourceId"], MessageBody="a deploy that failed")
    scheduler = mesh.client("scheduler")
    tick = scheduler.get_schedule(Name=naming.schedule(mesh.name, "tick"))
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    scheduler.update_schedule(**{key: tick[key] for key in kept}, State="DISABLED")
    mesh.client("lambda").update_event_source_mapping(UUID=mapping[1]["PhysicalResourceId"], Enabled=False)
    mesh.client("cloudwatch").disable_alarm_actions(AlarmNames=[naming.alarm(mesh.name, "SweepMissed")])

    done = verify_aws(mesh.aws.environment(), "--json")
    contradicted = [each for each in json.loads(done.stdout)["findings"] if each["verdict"] == "contradicted"]
    assert done.returncode == 1
    assert {(each["check"], each["subject"]) for each in contradicted} == {
        ("ca-permission", "colorteller"),
        ("secret-pending", "colorteller"),
        ("secret-policy", "trust in colorteller"),
        ("renewal-rule", rule[0]),
        ("dead-letters", queue[0]),
        ("schedule", schedule),
        ("queue-mapping", mapping[0]),
        ("alarms", mesh.name),
    }
    assert all(each["remedy"] for each in contradicted)


def test_a_renewal_closes_its_question(mesh: RunningMesh) -> None:
    """After acm:RenewCertificate the renewal is confirmed, and until it is exported the secret is out of date."""
    arn = mesh.certificate("colorgateway")["CertificateArn"]
    before = mesh.serial("colorgateway")

    mesh.client("acm").renew_certificate(CertificateArn=arn)
    wait_until(lambda: mesh.serial("colorgateway") != before, "the renewal", within_s=20)

    findings = {(finding.check, finding.subject): finding for finding in findings_in(deployment_of(mesh))}
    assert findings["certificate-renewal", "colorgateway"].verdict is Verdict.CONFIRMED
    assert findings["certificate-back-dating", "colorgateway"].verdict is Verdict.UNDECIDED


def test_an_account_without_the_mesh_is_told_from_a_faulty_one(mesh: RunningMesh, tmp_path: Path) -> None:
    """Another mesh's name: exit code 2, and the sentence says where was looked."""
    other = tmp_path / "other.yaml"
    other.write_text(MUTUAL.read_text().replace("name: color\n", "name: other\n"))

    done = verify_aws(mesh.aws.environment(), mesh=other)

    assert (done.returncode, done.stdout) == (2, "")
    assert "other-identities" in done.stderr
    assert "eu-west-1" in done.stderr
    with pytest.raises(NotDeployed):
        Deployment.find(load_mesh(other), Account(mesh.aws.client), mesh.aws.region, dt.datetime.now(dt.UTC))
