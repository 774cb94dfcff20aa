"""The real CDK CLI against a local AWS: bootstrap, synth and deploy, with its progress handed on line by line."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent
CDK = ROOT / "build" / "node" / "node_modules" / ".bin" / "cdk"


class CdkFailed(Exception):
    """
    The CDK CLI ended with an error.

    Args:
        output: Everything it printed.
    """

    def __init__(self, command: list[str], output: list[str]) -> None:
        self.command = command
        self.output = output
        super().__init__(f"{' '.join(command)} failed:\n" + "\n".join(output[-40:]))


_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
"""What the CLI itself takes for CloudFormation's role, and wants said as soon as another account is trusted."""

_ADVICE = "feature flags are not configured"
"""Part of a line with which the CLI ends every command: about the CDK's own choices, and no progress."""


_STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""Select Graphic Rendition (ECMA-48 8.3.117): colours, of which nothing is left where a line is cut or written on."""
_QUIETLY = {"NO_COLOR": "1", "PIP_ROOT_USER_ACTION": "ignore"}
"""
For what the CLI starts: its --no-color becomes FORCE_COLOR=0, in which pip, as rich does, sees a wish for colours. And
pip's advice to those who are root is not about a bundle's folder.
"""
NO_RULES = {"CDK_VALIDATION": "false"}
"""
Without the CDK's own check of templates, which warns at most and is a third of a synthesis (three seconds of a core).

tests/stacks/test_nag.py makes it, so that it stops a synthesis there; the local AWS refuses what CloudFormation would.
"""


def _quiet(_line: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class CdkCli:
    """
    The CDK CLI with one environment.

    Args:
        environment: Variables that point it at a local AWS (:meth:`local.running_aws.LocalAws.environment`).
        on_line: Called with each line it prints.
        app: Folder of the CDK app; another version of meshcert can be deployed, too.
    """

    environment: Mapping[str, str]
    on_line: Callable[[str], None] = _quiet
    app: Path = ROOT

    def bootstrap(self) -> None:
        """Create the CDK's own bucket, repository and roles. Raises :class:`CdkFailed`."""
        self._bootstrap()

    def bootstrap_trusting(self, account: str) -> None:
        """The same, with roles that another account, which deploys into this one, may assume."""
        self._bootstrap("--trust", account, "--cloudformation-execution-policies", _ADMINISTRATOR)

    def _bootstrap(self, *trust: str) -> None:
        account, region = self.environment["CDK_DEFAULT_ACCOUNT"], self.environment["CDK_DEFAULT_REGION"]
        # Beside no cdk.json the CLI synthesises no app, which bootstrapping does not need.
        self._run("bootstrap", f"aws://{account}/{region}", *trust, folder=CDK.parent)

    def synth(self, mesh: Path, assembly: Path) -> Path:
        """
        Write a cloud assembly for this machine's processor and Python.

        Args:
            assembly: Folder to write to.

        Returns:
            ``assembly``.

        Raises:
            CdkFailed: If the app fails, for example on a faulty mesh file.
        """
        self._run("synth", "--quiet", "--output", str(assembly), *_context(mesh))
        return assembly

    def deploy(self, assembly: Path) -> None:
        """Deploy all stacks of a cloud assembly in their order. Raises :class:`CdkFailed`."""
        self._run("deploy", "--all", "--app", str(assembly), "--require-approval", "never", "--progress", "events")

    def _run(self, *arguments: str, folder: Path | None = None) -> None:
        command = [str(CDK), "--no-notices", "--no-color", *arguments]
        environment = {**os.environ, **_QUIETLY, **NO_RULES, **self.environment}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        with subprocess.Popen(
            command,
            cwd=folder or self.app,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            output = []
            for line in process.stdout:
                plain = _STYLE.sub("", line.rstrip())
                output.append(plain)
                if _ADVICE not in plain:
                    self.on_line(plain)
        if process.returncode:
            raise CdkFailed(command, output)


def app_context(mesh: Path) -> dict[str, str]:
    """
    Context of the app for this machine's processor and Python.

    On AWS functions are arm64 and Python 3.13; here they run on this machine. The rest of the templates is equal.
    """
    return {
        "mesh": str(mesh),
        "architecture": {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64"),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "any-python": "true",
    }


def _context(mesh: Path) -> list[str]:
    return [argument for name, value in app_context(mesh).items() for argument in ("--context", f"{name}={value}")]
