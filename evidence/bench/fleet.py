"""
Benchmark ``fleet``: 1,000 certificates due at once, as a multiple of the least time that AWS's request quotas allow.

Besides, a fleet of 10,000: a sweep in which nothing is due, all of them due at once, and what it costs a month.

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
from meshcert.cli.costs.month import BilledParts, alarms, estimate, metrics
from meshcert.identity import IssuerName

if TYPE_CHECKING:
    from rich.console import Console

    from evidence.simulation.renewed import Renewed, Swept
    from meshcert.cli.costs.month import Estimate

NAME = "fleet"
SUMMARY = "1,000 and 10,000 certificates due at once, as a multiple of the floor of AWS's quotas (simulated time)"
GOAL = 1.25
IDENTITIES = 1000
LARGE = 10_000


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
    console.print(f"{LARGE:,} in memory: a sweep, then all of them due at once. Some minutes")
    large = Fleet(LARGE)
    swept, all_renewed, month = large.sweep(), large.renew(), month_of(LARGE)
    _print_large(swept, all_renewed, month, console)
    return renewed.figures() | {
        "without_events": without_events.figures(),
        "ten_thousand": {
            **all_renewed.figures(),
            "sweep": swept.figures(),
            "dollars_a_month": round(month.dollars, 2),
        },
        "goal": GOAL,
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def month_of(identities: int) -> Estimate:
    """What so many identities of ACM's cost a month, under one CA and without services."""
    return estimate(
        BilledParts(
            authorities=1,
            identities=identities,
            trust_bundles=1,
            alarms=alarms({IssuerName.ACM}),
            metrics=metrics({IssuerName.ACM}),
        )
    )


def _print_large(swept: Swept, renewed: Renewed, month: Estimate, console: Console) -> None:
    table = Table(title=f"{LARGE:,} identities, a month", title_justify="left", title_style="bold")
    for heading in ("what", "quantity", "dollars"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for line in month.lines:
        table.add_row(line.what, line.quantity, f"{line.dollars:,.2f}")
    table.add_row("[bold]all[/bold]", "", f"[bold]{month.dollars:,.2f}[/bold]")
    console.print(table)
    console.print(
        f"a sweep in {swept.parts} parts: {swept.looks:,} looks in {swept.took_s:.0f} s, "
        f"{sum(swept.refused.values())} throttled at first, {swept.throttled} failed\n"
        f"all due at once: {_told(renewed)}, {renewed.over_floor:.2f} times the floor, "
        f"{sum(renewed.refused.values())} throttled at first, {renewed.throttled} failed",
        soft_wrap=True,
    )


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
