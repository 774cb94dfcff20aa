"""``docs/soak.json``: what was run, on which commit, with which seed, and how often it failed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "docs" / "soak.json"


@dataclass(frozen=True)
class Outcome:
    """
    What a run came to.

    Args:
        n: How many cases it had.
        faults: What failed: one sentence or more by case.
        figures: What else was measured.
    """

    n: int
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """Its entry in the report."""
        faults = {case: list(sentences) for case, sentences in self.faults.items()}
        return {"n": self.n, "failed": len(self.faults), **({"faults": faults} if faults else {}), **self.figures}


def commit() -> str:
    """The commit that is checked out, with ``-dirty`` behind it if a file was changed since; the report is none."""
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    changed = ["git", "diff", "--quiet", "HEAD", "--", ".", f":!{REPORT.relative_to(ROOT)}"]
    dirty = subprocess.run(changed, cwd=ROOT, check=False).returncode != 0
    return f"{done.stdout.strip()}-dirty" if dirty else done.stdout.strip()


def add_run(path: Path, head: Mapping[str, Any], name: str, outcome: Outcome) -> None:
    """
    Put a run into the report; the other runs stay, and say so if they are of another commit or seed.

    All runs take hours, so a report may span commits: its head is the newest run's, and each other run that was not
    made under the same head has its own.

    Args:
        path: The report; made if it is not there.
        head: ``commit`` and ``seed``.
        name: The run.
        outcome: What it came to.
    """
    try:
        report = json.loads(path.read_text())
    except FileNotFoundError:
        report = {}
    older = {key: report[key] for key in head if key in report and report[key] != head[key]}
    runs = {run: {**older, **entry} for run, entry in report.get("runs", {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**head, "runs": {**runs, name: outcome.entry()}}, indent=2) + "\n")


def table(outcomes: Mapping[str, Outcome]) -> Table:
    """
    The runs, as people read them.

    Args:
        outcomes: What each came to.
    """
    shown = Table(title="Soak", title_justify="left", title_style="bold")
    shown.add_column("run")
    shown.add_column("n", justify="right")
    shown.add_column("failed", justify="right")
    shown.add_column("figures", style="dim")
    for name, outcome in outcomes.items():
        failed = len(outcome.faults)
        figures = ", ".join(f"{key} {value}" for key, value in outcome.figures.items() if not isinstance(value, dict))
        shown.add_row(name, str(outcome.n), f"[red]{failed}[/red]" if failed else "0", figures)
    return shown
