"""Tests that take too long for every commit, or that are tried more often than there: run as a run of the soak."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from evidence.soak.report import ROOT, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def run_all(
    folder: Path,
    say: Callable[[str], object],
    tests: str = "evidence/soak/long",
    environ: Mapping[str, str] | None = None,
) -> Outcome:
    """
    Run them, one after the other.

    Args:
        folder: For pytest's report.
        say: Takes a line about each test.
        tests: A file or folder of tests; those that deploy a mesh of their own unless told.
        environ: Further variables.
    """
    report = folder / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junit-xml={report}",
        tests,
    ]
    environment = {**os.environ, **(environ or {})}
    subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL, env=environment)
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 -- pytest has just written it
    faults = {}
    for case in cases:
        trouble = [found.get("message", "") for found in case if found.tag in {"failure", "error"}]
        say(f"{case.get('name')}: {float(case.get('time', '0')):.0f} s: {'; '.join(trouble) or 'good'}")
        if trouble:
            faults[case.get("name", "")] = tuple(trouble)
    return Outcome(n=len(cases), faults=faults)
