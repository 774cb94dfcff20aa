"""
Benchmark ``issuance``: a thousand identities of AWS Private CA with lives of 24 hours, deployed at once, over seven days.

Nothing is measured by the machine's clock: looks, requests, certificates and pre-flights are real, in
:mod:`evidence.simulation.own_fleet`, and time passes by itself.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from rich.table import Table

from evidence.simulation.own_fleet import OwnFleet

if TYPE_CHECKING:
    from rich.console import Console

NAME = "issuance"
SUMMARY = (
    "1,000 identities of 24 h straight from Private CA, deployed at once: certificates paid for, spread (simulated)"
)
IDENTITIES, DAYS = 1000, 7
AMPLIFICATION, SPREAD, PEAK = 1.0, 0.9, 1.5
"""Goals: certificates an epoch; the first life's spread over an even one; the fullest hour over the mean."""


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Simulate, print the table, and give the figures for the report.

    Args:
        rounds: Not used: there is nothing to repeat.
        console: For progress and table.
    """
    del rounds
    console.print(f"{IDENTITIES} identities of 24 h over {DAYS} days, in memory")
    issued = OwnFleet(IDENTITIES).live(DAYS)
    figures = {
        "amplification": round(issued.amplification, 4),
        "spread": round(issued.spread, 3),
        "peak_over_mean": round(issued.peak_over_mean, 3),
        "expired_served": issued.expired,
    }
    table = Table(title="Certificates straight from Private CA", title_justify="left", title_style="bold")
    for heading in ("figure", "measured", "goal"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, goal in (
        ("amplification", f"{AMPLIFICATION}"),
        ("spread", f">= {SPREAD}"),
        ("peak_over_mean", f"<= {PEAK}"),
        ("expired_served", "0"),
    ):
        table.add_row(name, str(figures[name]), goal)
    console.print(table)
    return figures | {
        "identities": IDENTITIES,
        "days": DAYS,
        "renewals": len(issued.renewals),
        "goal": {"amplification": AMPLIFICATION, "spread": SPREAD, "peak_over_mean": PEAK, "expired_served": 0},
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
