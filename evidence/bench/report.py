"""A benchmark's results: a table for the reader, and its own entry in ``build/bench.json``."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from rich.console import Console

    from evidence.bench.rounds import Spread

_SAY_EVERY = 5


class ReportUnreadable(ValueError):
    """
    The file holds something else than benchmarks' figures, which nobody should lose.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is no JSON object: move it away, or name another file with --output")


class Row(NamedTuple):
    """
    One line of a table.

    Args:
        label: What was measured.
        value: In the table's unit; None if it could not be measured here.
        ratio: As a multiple of the floor; None for the floor itself.
        note: Anything to add, for example why there is no value.
    """

    label: str
    value: Spread | None
    ratio: Spread | None = None
    note: str = ""


def read_report(path: Path) -> dict[str, Any]:
    """
    Every benchmark's figures, by the benchmark's name; empty if there is no file yet.

    Raises:
        ReportUnreadable: If the file is not a JSON object.
    """
    if not path.exists():
        return {}
    try:
        report = json.loads(path.read_text())
    except ValueError:
        report = None
    if not isinstance(report, dict):
        raise ReportUnreadable(path)
    return report


def add_figures(path: Path, name: str, figures: Mapping[str, Any]) -> None:
    """
    Replace one benchmark's figures and leave the other benchmarks' alone.

    Args:
        path: The report; made if it is not there. The new one takes its place in one step.
        name: The benchmark.
        figures: What it measured.

    Raises:
        ReportUnreadable: If the file is not a JSON object; it stays as it is.
    """
    report = read_report(path) | {name: dict(figures)}
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    new.replace(path)


def circumstances(load_before: float) -> dict[str, Any]:
    """
    On which machine figures were measured, and when; part of a benchmark's entry.

    Args:
        load_before: The load average when the benchmark began.
    """
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "load_average_before": round(load_before, 2),
        "load_average_after": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def told(figures: Mapping[str, Any]) -> str:
    """The line about rounds and machine under a table; the figures hold ``rounds`` and the circumstances."""
    load = f"{figures['load_average_before']} before, {figures['load_average_after']} after"
    return f"medians of {figures['rounds']} interleaved rounds; {figures['cpus']} CPUs, load average {load}"


def say_rounds(console: Console, rounds: int) -> Callable[[int], None]:
    """For :func:`evidence.bench.rounds.interleave`: a line now and then, between rounds, when nothing is measured."""

    def on_round(done: int) -> None:
        if done % _SAY_EVERY == 0 or done == rounds:
            console.print(f"round {done} of {rounds}" if done else "warmed up")

    return on_round


def table(title: str, unit: str, rows: Iterable[Row]) -> Table:
    """
    Medians with their extremes, one line a row.

    Args:
        title: What is measured.
        unit: Of the values, for example ``ms``.
        rows: In the order of the table.
    """
    result = Table(title=title, title_justify="left", title_style="bold")
    result.add_column("way")
    for heading in (unit, "min - max", "x bare", "min - max "):
        result.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        label = f"{row.label}\n[yellow]{row.note}[/yellow]" if row.note else row.label
        value = _cells(row.value, 0) if row.value else ("-", "")
        result.add_row(label, *value, *(_cells(row.ratio, 2) if row.ratio else ("1" if row.value else "-", "")))
    return result


def _cells(value: Spread, digits: int) -> tuple[str, str]:
    return f"[bold]{value.median:.{digits}f}[/bold]", f"{value.least:.{digits}f} - {value.most:.{digits}f}"
