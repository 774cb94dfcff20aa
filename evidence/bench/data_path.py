"""
Benchmark ``data_path``: what two Envoys and mutual TLS between them cost a request.

Three ways to an application that answers at once: directly; through the caller's and the callee's Envoy in plain text;
the same with mutual TLS between the two. Once with connections that are kept, once with a new one for each request, at
the client and between the Envoys. The Envoys have one CPU, load and application the other, so what is measured is the
Envoys.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from evidence.bench.call_paths import DIRECT, MTLS, PLAIN, WAYS, CallPaths
from evidence.bench.load_generator import LoadFailed, ask
from evidence.bench.report import circumstances, say_rounds, told
from evidence.bench.rounds import interleave, ratio, spread
from evidence.bench.start import cpu_s
from evidence.fixtures.container import memory_folder
from evidence.load.loads import Connection, Load, Protocol
from evidence.load.processes import LoadClient

if TYPE_CHECKING:
    from rich.console import Console

    from evidence.bench.call_paths import Way
    from evidence.bench.rounds import Spread

NAME = "data_path"
SUMMARY = "requests per second and latency: direct, two Envoys in plain text, two Envoys with mutual TLS"
CONNECTIONS = 16
"""Of the load generator."""
SECONDS = 1
"""Of each measurement at full load."""
PACED_WORKERS, PACED_PAUSE_S, PACED_S = 4, 0.02, 1.5
"""A load that leaves the CPUs mostly idle: some 150 requests a second, whose latency is no queue's."""
MEMORY_BACKENDS = (1, 10, 50, 100, 300)
MOST_ROUNDS = 8
LEAST_RATIO = 0.5
"""Goal: mutual TLS carries at least this part of what plain text carries, on kept connections."""


class Measured(NamedTuple):
    """
    One way in one round.

    Args:
        per_second: Requests answered, the Envoys' CPU full.
        cpu_ms: CPU milliseconds of one Envoy, the mean of both, by request.
        p50_ms: Median latency of the paced load.
        p99_ms: What 99 of 100 of its requests keep.
    """

    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Measure all ways, print the table, and give the figures for the report.

    Args:
        rounds: Wanted; more than eight are not measured, so that it ends within six minutes.
        console: For progress and table.

    Raises:
        StartFailed: If an Envoy does not start.
        LoadFailed: If a request fails.
    """
    load_before, began = os.getloadavg()[0], time.monotonic()
    rounds = min(rounds, MOST_ROUNDS)
    load_cpu, *rest = sorted(os.sched_getaffinity(0))
    envoy_cpu = rest[0] if rest else load_cpu
    with memory_folder() as folder, CallPaths(folder, load_cpu, envoy_cpu) as paths:
        memory = {number: paths.memory_mb(number) for number in MEMORY_BACKENDS}
        console.print("memory: " + ", ".join(f"{number} backends {mb:.0f} MB" for number, mb in memory.items()))
        started = {(connection, name): paths.start(name, connection) for connection in Connection for name in WAYS}
        measured = interleave(
            list(started), rounds, lambda key: _measure(started[key], key[0], load_cpu), say_rounds(console, rounds)
        )
    figures = _figures(measured, memory) | {
        "rounds": rounds,
        "took_s": round(time.monotonic() - began),
        **circumstances(load_before),
    }
    console.print(_table(measured))
    verdict = "kept" if figures["mtls_over_plain_rps"] >= LEAST_RATIO else "[red]missed[/red]"
    console.print(f"mutual TLS carries {figures['mtls_over_plain_rps']} of plain text; goal {LEAST_RATIO}: {verdict}")
    console.print(told(figures))
    return figures


def _measure(way: Way, connection: Connection, load_cpu: int) -> Measured:
    """Full load, then a paced one."""
    before = sum(map(cpu_s, way.envoys))
    full = ask(
        way.address,
        way.port,
        seconds=SECONDS,
        connections=CONNECTIONS,
        reconnect=connection is Connection.NEW,
        cpu=load_cpu,
    )
    took_s = sum(map(cpu_s, way.envoys)) - before
    load = Load(Protocol.HTTP1, connection, way.address, way.port, PACED_WORKERS, PACED_PAUSE_S)
    with LoadClient([load], None) as client:
        client.wait_until_ready()
        time.sleep(PACED_S)
        (paced,) = client.end().values()
    if paced.failed or paced.p50_ms is None or paced.p99_ms is None:
        raise LoadFailed(f"{paced.failed} of {paced.requests} requests failed: {paced.details}")
    by_envoy = len(way.envoys) or 1
    return Measured(full.per_second, took_s * 1000 / full.requests / by_envoy, paced.p50_ms, paced.p99_ms)


def _figures(measured: dict[tuple[Connection, str], list[Measured]], memory: dict[int, float]) -> dict[str, Any]:
    """The entry of the report, without its circumstances."""

    def medians(field: str, digits: int) -> dict[str, dict[str, float]]:
        return {
            connection: {
                name: round(spread([getattr(each, field) for each in measured[connection, name]]).median, digits)
                for name in WAYS
            }
            for connection in Connection
        }

    return {
        "mtls_over_plain_rps": round(_over_plain(measured, Connection.KEPT).median, 2),
        "mtls_over_plain_new_rps": round(_over_plain(measured, Connection.NEW).median, 2),
        "per_second": medians("per_second", 0),
        "p50_ms": medians("p50_ms", 2),
        "p99_ms": medians("p99_ms", 2),
        "envoy_cpu_ms_per_request": medians("cpu_ms", 3)[Connection.KEPT][MTLS],
        "cpu_ms_per_request": medians("cpu_ms", 3),
        "memory_mb": {str(backends): round(mb, 1) for backends, mb in memory.items()},
    }


def _over_plain(measured: dict[tuple[Connection, str], list[Measured]], connection: Connection) -> Spread:
    mtls, plain = ([each.per_second for each in measured[connection, name]] for name in (MTLS, PLAIN))
    return ratio(mtls, plain)


def _table(measured: dict[tuple[Connection, str], list[Measured]]) -> Table:
    result = Table(title="the data path, one CPU for both Envoys", title_justify="left", title_style="bold")
    for heading in ("connections", "way"):
        result.add_column(heading)
    for heading in ("requests/s", "min - max", "CPU ms of an Envoy", "p50 ms", "p99 ms"):
        result.add_column(heading, justify="right", no_wrap=True)
    for (connection, name), values in measured.items():
        per_second, cpu_ms, p50_ms, p99_ms = map(spread, zip(*values, strict=True))
        result.add_row(
            connection,
            name,
            f"[bold]{per_second.median:.0f}[/bold]",
            f"{per_second.least:.0f} - {per_second.most:.0f}",
            f"{cpu_ms.median:.3f}" if name != DIRECT else "-",
            f"{p50_ms.median:.2f}",
            f"{p99_ms.median:.2f}",
        )
    return result
