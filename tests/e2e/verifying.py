"""``make verify-aws`` on the example mesh: the command itself, and its checks without it."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from local.cdk import ROOT
from local.demo.scene import MUTUAL
from meshcert.mesh import load_mesh
from tools.aws_checks import CHECKS
from tools.aws_checks.account import Account
from tools.aws_checks.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.running_mesh import RunningMesh
    from tools.aws_checks.verdicts import Finding


def deployment_of(mesh: RunningMesh) -> Deployment:
    """The example mesh as an administrator finds it deployed."""
    return Deployment.find(load_mesh(MUTUAL), Account(mesh.aws.client), mesh.aws.region, dt.datetime.now(dt.UTC))


def findings_in(deployment: Deployment) -> list[Finding]:
    """Every check's findings."""
    return [finding for check in CHECKS for finding in check.findings(deployment)]


def verify_aws(
    environment: Mapping[str, str], *arguments: str, mesh: Path = MUTUAL
) -> subprocess.CompletedProcess[str]:
    """Run the command on a mesh file."""
    command = [sys.executable, "-m", "tools.verify_aws", "--mesh", str(mesh), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
