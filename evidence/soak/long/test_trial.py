"""``make trial`` whole, and stopped at every step, against a local AWS: nothing is left that AWS would bill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from local.cdk import CDK, ROOT, CdkCli, app_context
from local.running_aws import LocalAws
from local.running_mesh import wait_until
from meshcert import naming
from meshcert.lifecycle.policy import Policy
from tools.trial.steps import MESH_FILE, REMOVAL, STEPS

if TYPE_CHECKING:
    from pathlib import Path

MESH = "meshcert-trial"
IN_HASTE = Policy(look_again_s=1.0, shortest_between_renewals_s=0.0)


class RunningTrial:
    """``make trial`` on a local AWS, with its lines."""

    def __init__(self, aws: LocalAws, *words: str) -> None:
        context = app_context(MESH_FILE)
        del context["mesh"]
        given = [word for name, value in context.items() for word in ("-c", f"{name}={value}")]
        path = os.pathsep.join([str(CDK.parent), os.environ["PATH"]])
        self._aws = aws
        self._lines = aws.directory / "trial.log"
        with self._lines.open("w") as lines:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.trial", "--yes", *given, *words],
                cwd=ROOT,
                env={**os.environ, **aws.environment(), "PATH": path},
                stdout=lines,
                stderr=subprocess.STDOUT,
            )

    @property
    def lines(self) -> str:
        """What it has said so far."""
        return self._lines.read_text()

    def wait_until(self, step: str) -> None:
        """Wait until a step has begun."""
        wait_until(lambda: f"[{step}]\n" in self.lines, step, within_s=300)

    def hasten(self) -> None:
        """Have renewals that come soon after an issue done at once."""
        functions, name = self._aws.client("lambda"), naming.function(MESH, "renewal")
        before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": before | IN_HASTE.to_environ()}
        )

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(timeout=600)


def _billed(aws: LocalAws) -> dict[str, list[Any]]:
    """What of the account costs something."""
    clusters = aws.client("ecs").list_clusters()["clusterArns"]
    authorities = aws.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    keys = aws.client("kms")
    states = [keys.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys.list_keys()["Keys"]]
    return {
        "authorities": [each for each in authorities if each["Status"] != "DELETED"],
        "clusters": clusters,
        "functions": aws.client("lambda").list_functions()["Functions"],
        "gateways": [
            each for each in aws.client("ec2").describe_nat_gateways()["NatGateways"] if each["State"] != "deleted"
        ],
        "keys": [each for each in states if each["KeyState"] == "Enabled" and each.get("KeyManager") == "CUSTOMER"],
        "secrets": aws.client("secretsmanager").list_secrets()["SecretList"],
        "stacks": [
            each["StackName"]
            for each in aws.client("cloudformation").describe_stacks()["Stacks"]
            if each["StackName"].startswith(MESH)
        ],
        "tables": aws.client("dynamodb").list_tables()["TableNames"],
    }


@pytest.mark.timeout(3600)
def test_a_trial_confirms_what_it_can_and_leaves_nothing(tmp_path: Path) -> None:
    """Whole, and stopped at each step by Ctrl-C; one that is killed is taken away by the next command."""
    with LocalAws(tmp_path / "aws") as aws:
        CdkCli(aws.environment()).bootstrap()
        empty = _billed(aws)
        whole = RunningTrial(aws)
        whole.wait_until("settling")
        whole.hasten()
        assert whole.end() == 0, whole.lines
        report = json.loads((ROOT / "build" / "trial.json").read_text())
        assert {each["step"]: each["said"] for each in report["steps"]} == dict.fromkeys((*STEPS, REMOVAL), "")
        assert _billed(aws) == empty
        for step in STEPS:
            stopped = RunningTrial(aws)
            if step in STEPS[STEPS.index("renewal") :]:
                stopped.wait_until("settling")
                stopped.hasten()
            stopped.wait_until(step)
            stopped.process.send_signal(signal.SIGINT)
            assert stopped.end() == 1, stopped.lines
            assert "[removal] done" in stopped.lines
            assert _billed(aws) == empty, step
        killed = RunningTrial(aws)
        killed.wait_until("settling")
        killed.process.kill()
        killed.end()
        again = RunningTrial(aws)
        assert again.end() == 2
        assert "make trial ARGS=--tear-down first" in again.lines
        assert RunningTrial(aws, "--tear-down").end() == 0
        assert _billed(aws) == empty
