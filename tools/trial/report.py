"""What a trial found, as a table for a person and as JSON for a script or an issue."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from meshcert import VERSION
from meshcert.printable import printable
from tools.aws_checks.report import STYLES
from tools.aws_checks.verdicts import Verdict
from tools.trial.assumptions import ASSUMED, NOT_TRIED, latest, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from tools.trial.assumptions import Assumed
    from tools.trial.steps import Trial

_STYLES = {**STYLES, NOT_TRIED: "dim"}


def document(trial: Trial, region: str, at: str) -> str:
    """
    The trial as JSON. What AWS said in a finding may name the account; nothing else does.

    Args:
        at: When it ended, ISO 8601.
    """
    whole = {
        "meshcert": VERSION,
        "region": region,
        "at": at,
        "succeeded": all(outcome.done for outcome in trial.outcomes),
        "steps": [asdict(outcome) for outcome in trial.outcomes],
        "assumptions": [
            {"about": each.about, "assumed": each.what, "told_by": each.told_by, "verdict": verdict}
            for each, verdict in _told(trial)
        ],
        "findings": [finding.as_document() for finding in latest(trial.runs)],
        "remaining": [asdict(each) for each in trial.remaining],
    }
    return json.dumps(whole, indent=2) + "\n"


def show(console: Console, trial: Trial) -> None:
    """Print the assumptions with their verdicts, the steps, and what stays in the account."""
    table = Table(title="Not yet confirmed on AWS, line by line", title_justify="left", title_style="bold", expand=True)
    table.add_column("of", ratio=2)
    table.add_column("we assume", ratio=7)
    table.add_column("told by", ratio=4)
    table.add_column("verdict", width=len(Verdict.CONTRADICTED), no_wrap=True)
    verdicts = Counter[str]()
    for each, verdict in _told(trial):
        verdicts[verdict] += 1
        table.add_row(each.about, Text(each.what), Text(each.told_by), Text(verdict, style=_STYLES[verdict]))
    console.print(table)
    console.print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    for finding in latest(trial.runs):
        if finding.verdict is Verdict.CONTRADICTED:
            console.print(Text(printable(f"✗ {finding.check} of {finding.subject}: {finding.seen}. {finding.remedy}")))
    console.print()
    for outcome in trial.outcomes:
        mark = Text("✓" if outcome.done else "✗", style="green" if outcome.done else "red")
        console.print(mark, Text(printable(f"{outcome.step} {outcome.said}".strip())), f"[dim]{outcome.took_s} s[/dim]")
    for remaining in trial.remaining:
        console.print(Text(f"stays: {remaining.what}: {remaining.why}"))


def _told(trial: Trial) -> Iterator[tuple[Assumed, str]]:
    """Every assumption with its verdict."""
    findings = latest(trial.runs)
    done = {outcome.step for outcome in trial.outcomes if outcome.done}
    issuers = {name: identity.issuer for name, identity in trial.mesh.identities.items()}
    for each in ASSUMED:
        yield each, told(each, findings, done, issuers)
