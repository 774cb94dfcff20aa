"""How end-to-end tests deploy, other than the demo, which does it as users do."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.cdk import CdkCli
from tests.e2e.assemblies import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws


@dataclass(frozen=True)
class ThroughTheApi(CdkCli):
    """
    Synthesises in this process and deploys through the API: what the CDK CLI does, in a third of its time.

    Args:
        aws: Where to.
    """

    aws: LocalAws | None = None

    def bootstrap(self) -> None:
        """The deployment does."""

    def synth(self, mesh: Path, assembly: Path) -> Path:
        """Write a mesh file's cloud assembly."""
        return synthesise(mesh, assembly)

    def deploy(self, assembly: Path) -> None:
        """Deploy all stacks."""
        assert self.aws
        self.aws.deploy(assembly)


def synthesised_once(mesh: Path, folder: Path) -> Path:
    """
    A mesh file's cloud assembly: the processes of a run share it.

    Args:
        folder: Known to all of them.
    """
    assembly = folder / mesh.stem
    with (folder / f"{mesh.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not assembly.exists():
            synthesise(mesh, folder / f"{mesh.stem}.partial").rename(assembly)
    return assembly
