"""A first deploy that is taken back: what its application said is kept, and the next deploy works."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from local.cdk import ROOT
from meshcert import naming
from tests.local.aws.running_tasks import IMAGE, build_image
from tests.meshcert.mesh.mesh_slips import COLOR
from tools.first_deploy import KEPT, main
from tools.kept_logs import KeptLogs

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws

SERVICE = "colorteller"
GROUP = naming.tasks_log_group("color")
SAID = "cannot find the database"
# As the CDK CLI does it: a stack that was taken back goes, then it is created; the exit code says how that ended.
DEPLOY = """
    import boto3, sys, time

    cloudformation, stack = boto3.client("cloudformation"), "color-services"

    def status():
        try:
            return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        except cloudformation.exceptions.ClientError:
            return ""

    if status() == "ROLLBACK_COMPLETE":
        cloudformation.delete_stack(StackName=stack)
        while status():
            time.sleep(0.2)
    made = cloudformation.create_stack(StackName=stack, TemplateBody=open(sys.argv[1]).read())
    while not status().endswith(("_COMPLETE", "_FAILED")):
        time.sleep(0.2)
    print(status())
    sys.exit(status() != "CREATE_COMPLETE")
"""


def _template(script: str, check: str) -> str:
    """
    A service of the mesh and its log group, as the services' stack has them.

    Args:
        script: What the application runs.
        check: The program that says whether it is healthy.
    """
    options = {"awslogs-group": {"Ref": "Logs"}, "awslogs-region": {"Ref": "AWS::Region"}}
    application = {
        "Name": naming.APPLICATION_CONTAINER,
        "Image": IMAGE,
        "EntryPoint": ["sh", "-c", script],
        "StopTimeout": 5,
        # Nobody is given up for a failed check before it was heard.
        "HealthCheck": {"Command": ["CMD", check], "Interval": 30, "Timeout": 60, "Retries": 10, "StartPeriod": 300},
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {**options, "awslogs-stream-prefix": SERVICE},
        },
    }
    task: dict[str, Any] = {
        "Family": "teller",
        "NetworkMode": "awsvpc",
        "RequiresCompatibilities": ["FARGATE"],
        "Cpu": "256",
        "Memory": "512",
        "ContainerDefinitions": [application],
    }
    service = {
        "ServiceName": SERVICE,
        "Cluster": {"Ref": "Cluster"},
        "TaskDefinition": {"Ref": "Task"},
        "DesiredCount": 1,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": [{"Ref": "Subnet"}]}},
        "DeploymentConfiguration": {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": False}},
    }
    declared = {
        "Vpc": ("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"}),
        "Subnet": ("AWS::EC2::Subnet", {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24"}),
        "Logs": ("AWS::Logs::LogGroup", {"LogGroupName": GROUP}),
        "Cluster": ("AWS::ECS::Cluster", {"ClusterName": "meshcert-color"}),
        "Task": ("AWS::ECS::TaskDefinition", task),
        "Service": ("AWS::ECS::Service", service),
    }
    return json.dumps(
        {"Resources": {name: {"Type": kind, "Properties": has} for name, (kind, has) in declared.items()}}
    )


def _deploy(aws: LocalAws, folder: Path, script: str, check: str) -> subprocess.CompletedProcess[str]:
    """The program around a deploy of that service, in a folder of its own."""
    (folder / "deploy.py").write_text(textwrap.dedent(DEPLOY))
    (folder / "template.json").write_text(_template(script, check))
    (folder / "mesh.json").write_text(json.dumps(COLOR))
    command = [sys.executable, "-m", "tools.first_deploy", sys.executable, "deploy.py", "template.json"]
    environment = {**aws.environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "-c", "mesh=mesh.json"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(600)
def test_the_applications_last_words_outlive_its_log_group_and_the_next_deploy_works(
    aws: LocalAws, tmp_path: Path
) -> None:
    """CloudFormation deletes the group, the file stays; when the mended application has come up, the file goes."""
    build_image(aws, tmp_path / "image")
    kept = tmp_path / KEPT / f"{SERVICE}.log"

    # Here a deploy is taken back within seconds, on AWS after minutes: the application waits until it was heard.
    failed = _deploy(aws, tmp_path, f"echo {SAID}; until test -s {kept}; do sleep 0.2; done; exit 3", "false")
    lines, mode = kept.read_text(), kept.stat().st_mode
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    mended = _deploy(aws, tmp_path, "exec sleep 600", "true")

    assert (failed.returncode, failed.stdout.split()) == (1, ["ROLLBACK_COMPLETE"]), failed.stderr
    assert f"{SERVICE}/application/" in lines
    assert SAID in lines
    assert mode & 0o077 == 0
    assert str(KEPT / f"{SERVICE}.log") in failed.stderr
    assert groups == []
    assert (mended.returncode, mended.stdout.split()) == (0, ["CREATE_COMPLETE"]), mended.stderr
    assert not kept.exists()


class Lines:
    """CloudWatch Logs with some lines, which it tells again at every call."""

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        """All of them."""
        events = enumerate(self.messages)
        return {
            "events": [{"eventId": str(n), "logStreamName": "application/1", "message": text} for n, text in events]
        }


def test_a_line_is_kept_once_as_people_may_read_it_and_by_nobody_else(tmp_path: Path) -> None:
    """Whatever the application writes."""
    lines = Lines("one\n", "\x1b[2Jtwo")
    kept = KeptLogs(lines, {"teller": {"logGroupName": "/meshcert/color"}}, tmp_path / "kept")

    kept.copy()
    lines.messages.append("three")
    kept.copy()

    (file,) = kept.files
    assert file.read_text() == "application/1: one\napplication/1: \\x1b[2Jtwo\napplication/1: three\n"


def test_lines_that_cannot_be_written_end_no_deploy(tmp_path: Path) -> None:
    """A deploy is worth more than what is kept of it."""
    (tmp_path / "kept").write_text("no folder")
    kept = KeptLogs(Lines("one"), {"teller": {"logGroupName": "/meshcert/color"}}, tmp_path / "kept")

    kept.drop()
    kept.copy()

    assert kept.files == []


@pytest.mark.parametrize("code", [0, 7])
def test_without_an_account_a_deploy_runs_all_the_same(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No credentials and no region: the command says so better than this program could."""
    for variable in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert main([sys.executable, "-c", f"raise SystemExit({code})"], tmp_path) == code
    assert list(tmp_path.iterdir()) == []
