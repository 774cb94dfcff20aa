"""
The command on a deployed mesh: what it confirms there, what it leaves open, and planted faults that it finds.

The mesh is deployed once; the last tests change it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.cdk import ROOT
from local.running_mesh import RunningMesh, wait_until
from meshcert import naming
from meshcert.mesh import load_mesh
from tools.aws_checks import CHECKS
from tools.aws_checks.account import READS, Account
from tools.aws_checks.deployment import Deployment, NotDeployed
from tools.aws_checks.verdicts import Finding, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws

MESH = ROOT / "mesh.yaml"
# Nothing has been renewed; the local ACM has no account configuration, the local simulator no condition keys.
LEFT_OPEN = {
    "alarm-topic",
    "certificate-renewal",
    "expiry-warning",
    "renewal-events",
    "rights-granted",
    "rights-key",
    "rights-tagged",
}


@pytest.fixture(scope="module")
def mesh(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> RunningMesh:
    """The demo's mesh, deployed and steady."""
    folder = tmp_path_factory.mktemp("assembly")
    synth = [sys.executable, "-m", "tests.e2e.assemblies", str(folder), str(MESH)]
    subprocess.run(synth, cwd=ROOT, env={**os.environ, **aws.environment()}, check=True)
    aws.deploy(folder / MESH.stem)
    running = RunningMesh(aws, load_mesh(MESH).name, aws.resolve)
    running.wait_until_steady(["colorgateway", "colorteller"])
    return running


def _findings(mesh: RunningMesh) -> list[Finding]:
    account = Account(mesh.aws.client)
    deployment = Deployment.find(load_mesh(MESH), account, mesh.aws.region, dt.datetime.now(dt.UTC))
    return [finding for check in CHECKS for finding in check.findings(deployment)]


def _with(findings: list[Finding], verdict: Verdict) -> set[tuple[str, str]]:
    return {(finding.check, finding.subject) for finding in findings if finding.verdict is verdict}


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.verify_aws", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def _role(aws: LocalAws, name: str) -> str:
    """The ARN of a new role without rights, which anybody may assume."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Statement": [trust]})
    return str(aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])


def _reader(aws: LocalAws) -> dict[str, str]:
    """Credentials of a role that may do what the command's documentation lists, and nothing else."""
    role = _role(aws, "reader")
    statement = {"Effect": "Allow", "Action": sorted(READS), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.client("iam").put_role_policy(RoleName="reader", PolicyName="reads", PolicyDocument=document)
    session = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


def test_a_fresh_deployment_contradicts_nothing(mesh: RunningMesh) -> None:
    """Every check has its verdict here; what stays open is what the local AWS has not got or not done."""
    findings = _findings(mesh)

    assert [finding for finding in findings if finding.verdict is Verdict.CONTRADICTED] == []
    assert {finding.check for finding in findings if finding.verdict is Verdict.UNDECIDED} == LEFT_OPEN
    assert {finding.check for finding in findings} == {check.name for check in CHECKS}
    assert all(finding.seen for finding in findings)


def test_the_command_needs_the_rights_it_lists_and_uses_all_of_them(mesh: RunningMesh) -> None:
    """Run as a role with exactly these: exit code 0, the same verdicts, no refused call and none too many."""
    done = _run(_reader(mesh.aws), "--json")

    document = json.loads(done.stdout)
    calls = [entry for entry in mesh.aws.control("GET", "/_local/iam/log") if entry["role"] == "reader"]
    assert (done.returncode, document["verdicts"]["contradicted"]) == (0, 0), done.stderr
    assert document["findings"] == [finding.as_document() for finding in _findings(mesh)]
    assert [call for call in calls if not call["allowed"]] == []
    assert {call["action"] for call in calls} == READS


def test_without_rights_every_question_stays_open(mesh: RunningMesh) -> None:
    """Denials are no contradictions; each names the right that is missing."""
    nobody = _role(mesh.aws, "nobody")
    account = Account(lambda service: mesh.aws.client_as(nobody, service))
    deployment = Deployment.find(load_mesh(MESH), account, mesh.aws.region, dt.datetime.now(dt.UTC))

    findings = [finding for check in CHECKS for finding in check.findings(deployment)]

    assert _with(findings, Verdict.CONTRADICTED) == set()
    denied = [finding for finding in findings if finding.verdict is Verdict.UNDECIDED]
    assert all("credentials that may" in finding.remedy for finding in denied if finding.check != "expiry-warning")


def test_planted_faults_are_found_and_nothing_else(mesh: RunningMesh) -> None:
    """A lost permission, half a publication, a policy removed, a dead letter; rule, clock, mapping and alarm off."""
    identity = naming.identity_secret(mesh.name, "colorteller")
    authority = mesh.certificate("colorteller")["CertificateAuthorityArn"]
    deployment = Deployment.find(load_mesh(MESH), Account(mesh.aws.client), mesh.aws.region, dt.datetime.now(dt.UTC))
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

    done = _run(mesh.aws.environment(), "--json")
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

    findings = {(finding.check, finding.subject): finding for finding in _findings(mesh)}
    assert findings["certificate-renewal", "colorgateway"].verdict is Verdict.CONFIRMED
    assert findings["certificate-back-dating", "colorgateway"].verdict is Verdict.UNDECIDED


def test_an_account_without_the_mesh_is_told_from_a_faulty_one(mesh: RunningMesh, tmp_path: Path) -> None:
    """Another mesh's name: exit code 2, and the sentence says where was looked."""
    other = tmp_path / "other.yaml"
    other.write_text(MESH.read_text().replace("name: color\n", "name: other\n"))

    done = _run(mesh.aws.environment(), "--mesh", str(other))

    assert (done.returncode, done.stdout) == (2, "")
    assert "other-identities" in done.stderr
    assert "eu-west-1" in done.stderr
    with pytest.raises(NotDeployed):
        Deployment.find(load_mesh(other), Account(mesh.aws.client), mesh.aws.region, dt.datetime.now(dt.UTC))
