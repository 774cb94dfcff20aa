"""``make demo``: what it can be told, what it says meanwhile, and how it can be stopped."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from threading import Event
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from local.cdk import ROOT
from local.demo.__main__ import main
from local.demo.stage import LONGEST_DETAIL, Stage
from local.running_mesh import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_story_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    """The list has names only."""
    with pytest.raises(SystemExit) as ended:
        main(["--story", "nonsense"])

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "rollback" in said
    assert "''" not in said


def test_a_mesh_file_and_a_story_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    """Stories play on the Color mesh."""
    with pytest.raises(SystemExit):
        main(["--story", "rollback", "--mesh", "mesh.yaml"])

    assert "not allowed with" in capsys.readouterr().err


def test_a_mesh_file_with_faults_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within moments, with every fault and its remedy."""
    file = tmp_path / "wrong.yaml"
    file.write_text("schema: 1\n")

    assert main(["--mesh", str(file)]) == 2
    assert main(["--mesh", str(tmp_path / "none.yaml")]) == 2

    said = capsys.readouterr().out
    assert "services: it is missing" in said
    assert "none.yaml" in said
    assert "Starting" not in said


def test_without_a_terminal_a_long_step_says_now_and_then_how_far_it_is() -> None:
    """And it is silent again once it is done."""
    written = io.StringIO()
    stage = Stage(started=time.time(), told_every_s=0.05, console=Console(file=written, width=120))
    with stage.step("Deploying"):
        stage.detail("12/40 | CREATE_COMPLETE [x]")
        wait_until(lambda: written.getvalue().count("\n") > 2, "two lines", within_s=30)

    lines = written.getvalue().splitlines()
    assert all(re.fullmatch(r"  … \d+ s: 12/40 \| CREATE_COMPLETE \[x\]", line) for line in lines[:2])
    assert re.fullmatch(r"✓ Deploying [\d.]+ s", lines[-1])
    Event().wait(0.2)
    assert written.getvalue().splitlines() == lines


def test_a_long_line_of_progress_is_cut_and_shows_that_it_is() -> None:
    """And one that fits is whole."""
    stage = Stage(started=time.time(), console=Console(file=io.StringIO(), width=120))
    with stage.step("Deploying"):
        shown = []
        for length in (LONGEST_DETAIL, LONGEST_DETAIL + 1):
            stage.detail("x" * length)
            shown.append(stage._detail)

    assert shown == ["x" * LONGEST_DETAIL, "x" * (LONGEST_DETAIL - 1) + "…"]


def test_ctrl_c_ends_a_demo_that_was_started_with_ctrl_c_ignored() -> None:
    """As a script's background job is; it cleans up and ends with 130."""
    with subprocess.Popen(
        ["env", "--ignore-signal=INT", sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if line.startswith("✓ Starting the local AWS"):
                    break
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
            assert process.wait(120) == 128 + signal.SIGINT
        finally:
            process.kill()
    assert "Stopping it and cleaning up" in said
