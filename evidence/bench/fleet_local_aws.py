"""
Benchmark ``fleet_local_aws``: as ``fleet``, smaller, on the local AWS: real functions and queues, in real time.

Here the machine counts as well: two cores run every function, the queues and AWS itself.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from evidence.bench.report import circumstances
from evidence.lifetimes import fleet

if TYPE_CHECKING:
    from rich.console import Console

    from evidence.simulation.renewed import Renewed

NAME = "fleet_local_aws"
SUMMARY = "the same with 100 identities on the local AWS, in real time: minutes"
GOAL = 1.25
IDENTITIES = 100


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Measure, print the table, and give the figures for the report.

    Args:
        rounds: Not used: a fleet is renewed once, and takes minutes.
        console: For progress and table.

    Raises:
        local.assembly.DeploymentFailed: If the fleet cannot be deployed.
        local.running_mesh.NotSettled: If it does not come to an end.
    """
    del rounds
    load = os.getloadavg()[0]
    console.print(f"Deploying {IDENTITIES} identities to a local AWS and renewing them at AWS's own rates: minutes")
    with tempfile.TemporaryDirectory(prefix="meshcert-bench-") as folder:
        seen = fleet.renew(Path(folder), IDENTITIES)
    figures = seen.figures() | {
        "goal": GOAL,
        **circumstances(load),
    }
    _print(seen, console)
    return figures


def _print(seen: Renewed, console: Console) -> None:
    table = Table(title="A fleet renewed at once", title_justify="left", title_style="bold")
    for heading in ("API", "calls", "refused at first", "floor, s"):
        table.add_column(heading, justify="left" if heading == "API" else "right")
    for api, least in seen.floor_s.items():
        table.add_row(api, str(seen.calls.get(api, 0)), str(seen.refused.get(api, 0)), f"{least:.1f}")
    console.print(table)
    met = "met" if seen.over_floor <= GOAL and not seen.throttled else "MISSED"
    console.print(
        f"goal: at most {GOAL} times the floor, no call failed: [bold]{met}[/bold] ({seen.over_floor:.2f}, "
        f"{seen.throttled} failed); {seen.published} of {seen.identities} published in {seen.took_s:.1f} s",
        soft_wrap=True,
    )
