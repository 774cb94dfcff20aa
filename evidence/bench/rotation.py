"""
Benchmark ``rotation``: a thousand rotations on both ends for each delivery, under every load at once.

A rotation is one version of one secret, taken over by one Envoy: a new leaf on both ends is two of them, a new CA on
both ends (trust it too, change the leaves, trust the old one no longer) is six.

The proxies are the real ones: Envoy and the entrypoint, as the image has them. Clients ask without a break, in
HTTP/1.1, HTTP/2 and gRPC, on kept and on new connections, at a pace that leaves the CPUs some room: what is counted is
failures, and how soon a new version is served.
"""

from __future__ import annotations

import os
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table

from evidence.bench.presented import presented_after_ms
from evidence.bench.report import circumstances
from evidence.bench.torn_reads import read_while_installing
from evidence.fixtures.container import installed_envoy, lay_out_image, memory_folder
from evidence.fixtures.every_protocol import every_load
from evidence.fixtures.rotated_mesh import Kind, RotatedMesh, changes
from evidence.fixtures.under_load import HANDSHAKES, MOST_GROWTH, RETRIES, rotate_under_load
from evidence.load.processes import ChildEnded, LoadClient
from meshcert.envoy import identity_name
from meshcert.envoy.secrets import file_name
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from evidence.bench.torn_reads import Seen
    from evidence.fixtures.under_load import Outcome
    from evidence.load.loads import Load

NAME = "rotation"
SUMMARY = "1,000 rotations on both ends a delivery under load: failed requests, install -> served; torn reads"
GOAL_MS = 10.0
ROTATIONS = 1_000
WARM_UP = 30
READS = 1_000_000
WORKERS = 2
PAUSE_S = 0.1
SAY_EVERY = 50
_PRESENTED_ROUNDS = 20


class RotationFailed(RuntimeError):
    """A rotation was not carried through; the message says which proxy did not take it over."""


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Rotate, read, print the table, and give the figures for the report.

    Args:
        rounds: Not used: the number of rotations is what is claimed.
        console: For progress and table.

    Raises:
        RotationFailed: If a version is not served in time, or the load cannot be made.
    """
    del rounds
    return measure(ROTATIONS, WARM_UP, READS, console)


def measure(rotations: int, warm_up: int, reads: int, console: Console) -> dict[str, Any]:
    """
    The same in any size.

    Args:
        rotations: For each delivery.
        warm_up: Rotations before, which do not count.
        reads: Of an installed file.
        console: For progress and table.

    Raises:
        RotationFailed: As in :func:`run`.
    """
    load_before = os.getloadavg()[0]
    outcomes: dict[DeliveryMode, Outcome] = {}
    result: dict[str, Any] = {}
    with memory_folder() as folder:
        image = lay_out_image(folder / "image", installed_envoy())
        for delivery in DeliveryMode:
            console.print(f"{delivery}: {warm_up} rotations to warm up, then {rotations}")
            try:
                with RotatedMesh(folder / delivery, image, delivery) as mesh:
                    loads = every_load(mesh.gateway.container.address, workers=WORKERS, pause_s=PAUSE_S)
                    outcomes[delivery] = _rotate(mesh, loads, rotations, warm_up, console)
                    result[delivery] = figures(outcomes[delivery])
                    if delivery is DeliveryMode.FILE:
                        result[delivery]["handshake_ms"] = _handshake_ms(mesh, loads)
            except (AssertionError, ChildEnded) as error:
                raise RotationFailed(f"{delivery}: {error}") from error
        console.print(f"{reads} reads of a file while versions are installed")
        seen = read_while_installing(folder, reads)
    result |= {
        "torn_reads": seen.torn,
        "reads": seen.reads,
        "installed_while_reading": seen.installed,
        "goal_ms": GOAL_MS,
        **circumstances(load_before),
    }
    _print(outcomes, result, seen, console)
    return result


def _rotate(mesh: RotatedMesh, loads: list[Load], rotations: int, warm_up: int, console: Console) -> Outcome:
    all_changes = changes(rotations, *Kind)

    def on_change(done: int) -> None:
        if done % SAY_EVERY == 0:
            console.print(f"{done} of {len(all_changes)} changes")

    return rotate_under_load(mesh, loads, all_changes, changes(warm_up, *Kind), on_change)


def _handshake_ms(mesh: RotatedMesh, loads: list[Load]) -> float:
    file: Path = mesh.node.container.material_dir / "secrets" / file_name(identity_name("colorteller"))
    with LoadClient(loads, mesh.requests_seen) as client:
        client.wait_until_ready()
        return round(median(presented_after_ms(mesh, file, _PRESENTED_ROUNDS)), 1)


def figures(outcome: Outcome) -> dict[str, Any]:
    """
    One delivery's entry.

    Args:
        outcome: What its rotations came to.
    """
    return {
        "rotations": outcome.rotations,
        "changes": outcome.changes,
        "requests": outcome.requests,
        "failed": outcome.failed,
        "twice": outcome.twice,
        "install_to_served_ms": round(outcome.served_after_ms, 1),
        "took_s": round(outcome.took_s, 1),
        "requests_per_second": round(sum(report.per_second for report in outcome.loads.values()), 1),
        "retried_by_envoy": outcome.counters.get(RETRIES, 0),
        "handshakes": outcome.counters.get(HANDSHAKES, 0),
        "growth": round(outcome.growth, 3),
        "faults": list(outcome.faults()),
        "loads": {
            name: {
                "requests": report.requests,
                "failures": report.failures,
                "connections": report.connections,
                "p50_ms": report.p50_ms,
                "p99_ms": report.p99_ms,
            }
            for name, report in outcome.loads.items()
        },
    }


def _print(outcomes: Mapping[DeliveryMode, Outcome], result: Mapping[str, Any], seen: Seen, console: Console) -> None:
    shown = Table(title="Rotations on both ends under load", title_justify="left", title_style="bold")
    shown.add_column("delivery, load")
    headings = ("rotations", "requests", "failed", "connections", "requests/s", "p50, ms", "p99, ms")
    for heading in headings:
        shown.add_column(heading, justify="right")
    for delivery, outcome in outcomes.items():
        entry = result[delivery]
        total = (outcome.rotations, outcome.requests, outcome.failed, "", entry["requests_per_second"], "", "")
        shown.add_row(f"[bold]{delivery}[/bold]", *map(str, total))
        for name, one in outcome.loads.items():
            counted = (one.requests, one.failed, one.connections, one.per_second, one.p50_ms, one.p99_ms)
            shown.add_row(f"  {name}", "", *map(str, counted))
    console.print(shown)
    for delivery, outcome in outcomes.items():
        entry = result[delivery]
        met = "met" if entry["install_to_served_ms"] <= GOAL_MS else "MISSED"
        outside = f", seen from outside by handshakes {entry['handshake_ms']} ms" if "handshake_ms" in entry else ""
        console.print(
            f"{delivery}: install -> served {entry['install_to_served_ms']} ms (median of {outcome.rotations}; "
            f"goal ≤ {GOAL_MS:g}: [bold]{met}[/bold]){outside}; "
            f"{entry['handshakes']} handshakes, {entry['retried_by_envoy']} requests repeated by Envoy; memory and "
            f"descriptors grew by {entry['growth']:.1%} at most (goal ≤ {MOST_GROWTH:.0%})",
            soft_wrap=True,
        )
        for fault in entry["faults"]:
            console.print(f"[red]{delivery}[/red]: {fault}", soft_wrap=True, markup=True)
    console.print(
        f"{seen.torn} torn pairs in {seen.reads} reads of a file in which {seen.installed} versions were installed "
        f"meanwhile; {result['cpus']} CPUs, load average {result['load_average_before']} before, "
        f"{result['load_average_after']} after",
        soft_wrap=True,
    )
