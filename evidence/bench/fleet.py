"""
Benchmark ``fleet``: 1,000 certificates due at once, as a multiple of the least time that AWS's request quotas allow.

Nothing is measured by the machine's clock: real dispatch, looks and exports run in :mod:`evidence.simulation.fleet`,
where time passes by itself, each call takes 30 to 60 ms and a token, and one that is throttled is made again as the SDK
does.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from rich.table import Table

from evidence.simulation.fleet import Fleet
from evidence.simulation.renewed import NEEDED

if TYPE_CHECKING:
    from rich.console import Console

    from evidence.simulation.renewed import Renewed

NAME = "fleet"
SUMMARY = "1,000 certificates due at once, as a multiple of the floor that AWS's quotas set (simulated time)"
GOAL = 1.25
IDENTITIES = 1000


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Simulate, print the table, and give the figures for the report.

    Args:
        rounds: Not used: a simulation comes out the same every time.
        console: For progress and table.
    """
    del rounds
    console.print(f"Issuing {IDENTITIES} certificates and renewing them in memory; then once more without ACM's events")
    renewed = Fleet(IDENTITIES).renew()
    without_events = Fleet(IDENTITIES, events=False).renew()
    _print(renewed, without_events, console)
    return renewed.figures() | {
        "without_events": without_events.figures(),
        "goal": GOAL,
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def _print(renewed: Renewed, without_events: Renewed, console: Console) -> None:
    table = Table(title="A fleet renewed at once", title_justify="left", title_style="bold")
    for heading in ("API", "calls", "needed", "throttled at first", "floor, s"):
        table.add_column(heading, justify="left" if heading == "API" else "right")
    for api, least in renewed.floor_s.items():
        needed = renewed.identities * NEEDED[api][0]
        refused = renewed.refused.get(api, 0)
        table.add_row(api, str(renewed.calls[api]), str(needed), str(refused), f"{least:.0f}")
    console.print(table)
    met = renewed.over_floor <= GOAL and not renewed.throttled and renewed.new_certificates == renewed.identities
    console.print(
        f"goal: at most {GOAL} times the floor, no call failed: [bold]{'met' if met else 'MISSED'}[/bold] "
        f"({renewed.over_floor:.2f}; {renewed.throttled} failed): {_told(renewed)}\n"
        f"every event lost, ticks alone: {_told(without_events)}, {without_events.over_floor:.2f} times the floor, "
        f"{without_events.throttled} failed",
        soft_wrap=True,
    )


def _told(renewed: Renewed) -> str:
    return f"{renewed.published} of {renewed.identities} published in {renewed.took_s:.0f} s"
