"""The command on a mesh that has just been deployed: what it confirms there, and what it leaves open."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

from local.demo.scene import MUTUAL
from meshcert.mesh import load_mesh
from tests.e2e.verifying import deployment_of, findings_in, verify_aws
from tools.aws_checks import BEFORE, CHECKS, attached, federation, issuances
from tools.aws_checks.account import READS, Account
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.verdicts import Finding, Verdict

if TYPE_CHECKING:
    from local.running_aws import LocalAws
    from local.running_mesh import RunningMesh

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
# This mesh federates with nobody: tests/e2e/test_federation.py.
OF_FEDERATION = {check.name for check in federation.CHECKS}
READS_OF_FEDERATION = {action for action in READS if action.startswith("s3:")}
# ACM issues to all identities of this mesh.
OF_PRIVATE_CA = {check.name for check in issuances.CHECKS}
READS_OF_PRIVATE_CA = {"acm-pca:GetCertificate"}
# Its VPC, cluster, namespace and services are the mesh's own; of somebody's: tests/tools/test_aws_checks_network.py.
OF_YOURS = {check.name for check in (*BEFORE, *attached.CHECKS)}
READS_OF_YOURS = {action for action in READS if action.startswith("ec2:")} | {
    "ecs:DescribeClusters",
    "elasticloadbalancing:DescribeTargetGroups",
    "kms:GetKeyPolicy",
    "logs:DescribeLogGroups",
    "route53:GetHostedZone",
    "servicediscovery:ListServices",
}


def _with(findings: list[Finding], verdict: Verdict) -> set[tuple[str, str]]:
    return {(finding.check, finding.subject) for finding in findings if finding.verdict is verdict}


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


def test_a_fresh_deployment_contradicts_nothing(fresh_mesh: RunningMesh) -> None:
    """Every check has its verdict here; what stays open is what the local AWS has not got or not done."""
    findings = findings_in(deployment_of(fresh_mesh))

    assert [finding for finding in findings if finding.verdict is Verdict.CONTRADICTED] == []
    assert {finding.check for finding in findings if finding.verdict is Verdict.UNDECIDED} == LEFT_OPEN
    others = OF_FEDERATION | OF_PRIVATE_CA | OF_YOURS
    assert {finding.check for finding in findings} == {check.name for check in CHECKS} - others
    assert all(finding.seen for finding in findings)


def test_the_command_needs_the_rights_it_lists_and_uses_all_of_them(fresh_mesh: RunningMesh) -> None:
    """Run as a role with exactly these: exit code 0, the same verdicts, no refused call and none too many."""
    done = verify_aws(_reader(fresh_mesh.aws), "--json")

    document = json.loads(done.stdout)
    calls = [entry for entry in fresh_mesh.aws.control("GET", "/_local/iam/log") if entry["role"] == "reader"]
    assert (done.returncode, document["verdicts"]["contradicted"]) == (0, 0), done.stderr
    expected = [finding.as_document() for finding in findings_in(deployment_of(fresh_mesh))]
    for finding in (each for each in (*document["findings"], *expected) if each["check"] == "alarms"):
        del finding["seen"]  # it tells which alarms are on, and the two have looked at two moments
    assert document["findings"] == expected
    assert [call for call in calls if not call["allowed"]] == []
    assert {call["action"] for call in calls} == READS - READS_OF_FEDERATION - READS_OF_PRIVATE_CA - READS_OF_YOURS


def test_without_rights_every_question_stays_open(fresh_mesh: RunningMesh) -> None:
    """Denials are no contradictions; each names the right that is missing."""
    nobody = _role(fresh_mesh.aws, "nobody")
    account = Account(lambda service: fresh_mesh.aws.client_as(nobody, service))
    deployment = Deployment.find(load_mesh(MUTUAL), account, fresh_mesh.aws.region, dt.datetime.now(dt.UTC))

    findings = findings_in(deployment)

    assert _with(findings, Verdict.CONTRADICTED) == set()
    denied = [finding for finding in findings if finding.verdict is Verdict.UNDECIDED]
    assert all("credentials that may" in finding.remedy for finding in denied if finding.check != "expiry-warning")
