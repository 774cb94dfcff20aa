"""The whole demo, played once for all end-to-end tests and left running for them to look at."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from local.cdk import CdkCli
from local.demo.scene import MUTUAL
from local.demo.stage import Stage
from local.demo.story import Story
from local.lab import LocalAws
from local.running_mesh import RunningMesh
from meshcert.mesh import load_mesh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.demo.result import DemoResult


@dataclass(frozen=True)
class PlayedDemo:
    """
    A demo that has been played and still runs.

    Args:
        aws: Its local AWS.
        cdk: The CDK CLI pointed at it; ``lines`` collects what it prints.
        mesh: The deployed mesh.
        result: What the demo measured.
        folder: Where it wrote cloud assemblies and the local AWS its files.
        lines: Everything the CDK CLI has printed.
        began: When it was started, Unix time in seconds.
    """

    aws: LocalAws
    cdk: CdkCli
    mesh: RunningMesh
    result: DemoResult
    folder: Path
    lines: list[str]
    began: float


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedDemo]:
    """The demo, played to its end."""
    folder, began = tmp_path_factory.mktemp("demo"), time.time()
    with LocalAws(folder / "aws", certificates=Story.TIMES) as aws:
        lines: list[str] = []
        stage = Stage(started=began, on_detail=lines.append)
        result = Story(stage, aws, folder).play()
        mesh = RunningMesh(aws, load_mesh(MUTUAL).mesh.name, aws.resolve)
        yield PlayedDemo(aws, CdkCli(aws.environment(), lines.append), mesh, result, folder, lines, began)
