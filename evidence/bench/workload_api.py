"""The part of benchmark ``startup`` for the SPIFFE Workload API: what it costs to offer it, in time and in memory."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evidence.bench.report import say_rounds
from evidence.bench.rounds import interleave, ratio, spread
from evidence.bench.start import Started
from evidence.bench.ways import Place, Ways
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from evidence.bench.start import Launch

GOAL = 1.05
"""A start may take this many times what it takes without the Workload API."""
RSS_GOAL_MB = 45.0
WITHOUT, WITH = "without", "with"


class Offered(NamedTuple):
    """
    One start of a node whose identity has a SPIFFE ID.

    Args:
        live_after_ms: Milliseconds from start to LIVE with secrets.
        rss_mb: Resident memory of supervisor and watcher once they have come to rest, MB of 1024 kB.
    """

    live_after_ms: float
    rss_mb: float


def measure(ways: Ways, rounds: int, folder: Path, new_address: Callable[[], str], console: Console) -> dict[str, Any]:
    """
    Start the same node with and without its Workload API once a round, for each delivery.

    Args:
        ways: Of a node with a SPIFFE ID.
        folder: For what they write.
        new_address: Gives each start an address of its own.

    Returns:
        The figures for the report.

    Raises:
        StartFailed: If a start fails.
    """
    launches: dict[str, Callable[[Place], Launch]] = {}
    for delivery in DeliveryMode:
        launches[f"{delivery} {WITHOUT}"] = partial(ways.meshcert, delivery=delivery)
        launches[f"{delivery} {WITH}"] = partial(ways.with_workload_api, delivery=delivery)

    def start(name: str) -> Offered:
        with tempfile.TemporaryDirectory(prefix="workload-api-", dir=folder) as own:
            place = Place(Path(own), new_address())
            with Started(launches[name](place), place.folder) as started:
                live_after_ms = started.live_after_ms()
                last_event = "svids-offered" if name.endswith(f" {WITH}") else "secrets-accepted"
                return Offered(live_after_ms, started.memory_beside_envoy(last_event).rss_mb)

    console.print("The Workload API: the same start with and without it")
    return figures(interleave(list(launches), rounds, start, say_rounds(console, rounds)))


def figures(starts: Mapping[str, list[Offered]]) -> dict[str, Any]:
    """
    The figures for the report: medians of the rounds' own ratios, and the memory with ``delivery: sds``.

    Args:
        starts: By delivery and whether the Workload API was offered, one value a round.
    """
    result: dict[str, Any] = {"workload_api_goal": GOAL}
    for delivery in DeliveryMode:
        taken = {side: [one.live_after_ms for one in starts[f"{delivery} {side}"]] for side in (WITHOUT, WITH)}
        found = ratio(taken[WITH], taken[WITHOUT])
        result[f"workload_api_{delivery}_ratio"] = round(found.median, 3)
        result[f"workload_api_{delivery}_ratio_range"] = [round(found.least, 2), round(found.most, 2)]
    rss = spread([one.rss_mb for one in starts[f"{DeliveryMode.SDS} {WITH}"]])
    result["workload_api_rss_mb"] = round(rss.median, 1)
    return result


def told(result: Mapping[str, Any]) -> str:
    """The lines under the benchmark's table."""
    ratios = {delivery: result[f"workload_api_{delivery}_ratio"] for delivery in DeliveryMode}
    met = "met" if max(ratios.values()) <= GOAL else "MISSED"
    each = ", ".join(f"{delivery} {found}" for delivery, found in ratios.items())
    return (
        f"with the Workload API: {each} x without; goal: ≤ {GOAL} [bold]{met}[/bold]; with it and sds "
        f"{result['workload_api_rss_mb']} MB resident; goal: ≤ {RSS_GOAL_MB:g} MB"
    )
