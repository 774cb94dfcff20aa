"""The findings as text for a person, or as JSON for a program."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from meshcert.printable import printable
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.aws_checks.deployment import Deployment
    from tools.aws_checks.verdicts import Finding

_WIDTH_WITHOUT_TERMINAL = 160
STYLES: dict[str, str] = {Verdict.CONFIRMED: "green", Verdict.CONTRADICTED: "bold red", Verdict.UNDECIDED: "yellow"}


def report_console() -> Console:
    """Standard output, wide enough for a table where no terminal says how wide it is."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_WITHOUT_TERMINAL
    return console


def as_json(deployment: Deployment, findings: Sequence[Finding]) -> str:
    """
    The JSON document with all findings.

    Args:
        findings: In the report's order.
    """
    document = {
        "mesh": deployment.name,
        "account": deployment.account_id,
        "region": deployment.region,
        "at": deployment.now.isoformat(timespec="seconds"),
        "verdicts": _counts(findings),
        "findings": [finding.as_document() for finding in findings],
    }
    return json.dumps(document, indent=2)


def print_table(console: Console, deployment: Deployment, findings: Sequence[Finding]) -> None:
    """
    Print a table of the findings under their assumptions, and a last line with the counts.

    Args:
        findings: In the report's order.
    """
    title = f"Mesh {deployment.name} in account {deployment.account_id}, {deployment.region}"
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    table.add_column("we assume", ratio=5)
    table.add_column("of", ratio=3, overflow="fold")
    table.add_column("AWS says here", ratio=7, overflow="fold")
    table.add_column("verdict", width=len(Verdict.CONTRADICTED), no_wrap=True)
    table.add_column("what to do", ratio=4)
    previous = ""
    # Subjects with the same answer from AWS share a row.
    for finding, subjects in _grouped(findings):
        if finding.check != previous:
            table.add_section()
        assumption = Text.assemble(finding.assumption, " ", (f"({finding.check})", "dim"))
        table.add_row(
            assumption if finding.check != previous else "",
            Text(printable(", ".join(subjects))),
            Text(printable(finding.seen)),
            Text(finding.verdict, style=STYLES[finding.verdict]),
            Text(printable(finding.remedy)),
        )
        previous = finding.check
    console.print(table)
    console.print(", ".join(f"{count} {verdict}" for verdict, count in _counts(findings).items()))


def _grouped(findings: Sequence[Finding]) -> list[tuple[Finding, list[str]]]:
    rows: dict[tuple[str, str, str], tuple[Finding, list[str]]] = {}
    for finding in findings:
        rows.setdefault((finding.check, finding.seen, finding.remedy), (finding, []))[1].append(finding.subject)
    return list(rows.values())


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    counted = Counter(finding.verdict for finding in findings)
    return {verdict.value: counted[verdict] for verdict in Verdict}
