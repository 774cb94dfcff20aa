"""A long command says now and then that it is still at it, and everything if it fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tools.patiently import run

if TYPE_CHECKING:
    import pytest


def test_a_long_command_is_told_of_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """With its last line; a command that succeeds shows nothing else."""
    slow = "import time; print('Collecting boto3', flush=True); time.sleep(1.5)"

    assert run("[setup]", [sys.executable, "-c", slow], told_every_s=0.4) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert lines[-1].startswith("[setup]: ")
    assert lines[-1].endswith("s, Collecting boto3")


def test_warnings_and_what_is_taken_away_are_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """Who sets this up for the first time would take them for faults."""
    said = [
        "WARNING: Location of the wheels is ignored",
        "Installing collected packages: setuptools, boto3",
        "  Attempting uninstall: setuptools",
        "      Successfully uninstalled setuptools-65.5.0",
    ]
    slow = f"import time; print(*{said!r}, sep='\\n', flush=True); time.sleep(1.5)"

    assert run("[setup]", [sys.executable, "-c", slow], told_every_s=0.4) == 0

    out = capsys.readouterr().out
    assert out.splitlines()[-1].endswith("s, Installing collected packages: setuptools, boto3")
    assert "WARNING" not in out
    assert "uninstall" not in out


def test_a_command_that_fails_shows_all_it_said_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error included."""
    failing = "import sys; print('one'); sys.stdout.flush(); print('two', file=sys.stderr); sys.exit(7)"

    assert run("[setup]", [sys.executable, "-c", failing]) == 7

    assert capsys.readouterr().out == "one\ntwo\n"
