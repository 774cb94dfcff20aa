"""
Benchmark ``attached``: what a service of somebody's own gets to join a mesh, and what that costs its callers.

A CDK app's service and a CloudFormation template's run on the local AWS behind load balancers of their own. Under load
they get the sidecar, are renewed three times, get a bad certificate each, become STRICT, and lose the sidecar again.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from evidence.bench.report import circumstances
from evidence.fixtures.attached_services import join_and_leave, own_services
from evidence.fixtures.own_services import SERVICES, TEMPLATE, lines_of_app, lines_of_template

if TYPE_CHECKING:
    from rich.console import Console

NAME = "attached"
SUMMARY = "services of a CDK app's and of a template's own: lines to join, requests failed meanwhile: minutes"
ROTATIONS = 3
GOALS = {"failed": 0, "lines_added": {"cdk": 15, "cloudformation": 60}, "longest_line": 120}
KINDS = {"orders": "cdk", "stock": "cloudformation"}


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Join, renew, roll back, leave, print the table, and give the figures for the report.

    Args:
        rounds: Not used: the story is told once, and takes minutes.
        console: For progress and table.

    Raises:
        local.assembly.DeploymentFailed: If something cannot be deployed.
        local.running_mesh.NotSettled: If a step does not come to its end, a rollback for example.
    """
    del rounds
    load, begun = os.getloadavg()[0], time.monotonic()
    console.print("Deploying two services and a mesh to a local AWS: minutes")
    with tempfile.TemporaryDirectory(prefix="meshcert-bench-") as folder, own_services(Path(folder)) as own:
        asked = join_and_leave(own, rotations=ROTATIONS, rolled_back=list(SERVICES), say=console.print)
    for failure in (failure for each in asked.values() for failure in each.failures):
        console.print(failure, style="red", markup=False)
    lines = {"orders": len(lines_of_app()), "stock": len(lines_of_template())}
    each_kind = {
        KINDS[name]: {
            "lines_added": lines[name],
            "requests": asking.requests,
            "failed": len(asking.failures),
            "rotations": ROTATIONS,
            "rolled_back": True,
        }
        for name, asking in asked.items()
    }
    each_kind["cloudformation"]["longest_line"] = max(map(len, TEMPLATE.read_text().splitlines()))
    _print(each_kind, console)
    return {
        "lines_added": each_kind["cdk"]["lines_added"],
        "requests": min(figures["requests"] for figures in each_kind.values()),
        "failed": max(figures["failed"] for figures in each_kind.values()),
        "rotations": ROTATIONS,
        "rolled_back": True,
        **each_kind,
        "took_s": round(time.monotonic() - begun, 1),
        "goals": GOALS,
        **circumstances(load),
    }


def _print(each_kind: dict[str, dict[str, Any]], console: Console) -> None:
    table = Table(title="Services of somebody's own", title_justify="left", title_style="bold")
    for heading in ("kept by", "lines added", "requests", "failed"):
        table.add_column(heading, justify="left" if heading == "kept by" else "right")
    for kind, figures in each_kind.items():
        table.add_row(kind, *(str(figures[name]) for name in ("lines_added", "requests", "failed")))
    console.print(table)
