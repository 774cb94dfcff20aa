"""Benchmark ``cold_import``: what a function imports before its first call, as a multiple of ``import boto3``."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evidence.bench.image import REPOSITORY
from evidence.bench.report import Row, circumstances, say_rounds, table, told
from evidence.bench.rounds import interleave, ratio, spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

NAME = "cold_import"
SUMMARY = "import of each function's handler, as a multiple of a bare import of boto3"
GOAL = 2.0
FLOOR = "boto3"
HANDLERS = sorted(handler.parent.name for handler in (REPOSITORY / "lambdas").glob("*/handler.py"))

_INTERPRETER = REPOSITORY / "build/venv-lambda/bin/python"
# CPU time: Lambda gives a function of 512 MB a share of a CPU, and other work on this machine does not count.
_MEASURE = "import time; began = time.process_time(); import {module}; print(time.process_time() - began)"
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64"}


class ImportFailed(RuntimeError):
    """A handler could not be imported; the message is what Python said."""


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Measure, print the table, and give the figures for the report.

    Args:
        rounds: How many rounds count.
        console: For progress and table.

    Raises:
        ImportFailed: If a handler cannot be imported.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="meshcert-bench-") as folder:
        console.print("Laying the functions' bundle out (the first time it installs the wheels)")
        lay_out(Path(folder))
        modules = [FLOOR, *(f"{name}.handler" for name in HANDLERS)]
        on_round = say_rounds(console, rounds)
        measured = interleave(modules, rounds, lambda module: import_ms(module, Path(folder)), on_round)
    result = figures({module.removesuffix(".handler"): times for module, times in measured.items()})
    result |= {"goal": GOAL, "rounds": rounds, **circumstances(load)}
    _print(measured, result, console)
    return result


def lay_out(folder: Path) -> None:
    """
    Lay the functions' bundle out for this machine, as a deploy does: without compiled files.

    Args:
        folder: An empty folder.

    Raises:
        ImportFailed: If the wheels cannot be installed.
    """
    from stacks.bundling import lay_out_bundle  # noqa: PLC0415  it starts node, which the other benchmarks need not
    from stacks.runtime import Platform  # noqa: PLC0415  the same

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        lay_out_bundle(folder, Platform(_ARCHITECTURES.get(platform.machine(), "x86_64"), python))
    except subprocess.CalledProcessError:
        raise ImportFailed("the functions' bundle could not be laid out: see what pip says above") from None


def import_ms(module: str, bundle: Path) -> float:
    """
    Import a module in a new process that has boto3 and the bundle, and nothing compiled of the bundle.

    Args:
        module: Its name.
        bundle: Where the functions' bundle lies.

    Returns:
        CPU time, milliseconds, without that of the interpreter's own start.

    Raises:
        ImportFailed: If it cannot be imported.
    """
    # On AWS the bundle lies on a file system that cannot be written to: each new process compiles what it imports.
    environment = {"PYTHONPATH": str(bundle), "PYTHONDONTWRITEBYTECODE": "1", "AWS_RETRY_MODE": "standard"}
    command = [str(_INTERPRETER), "-c", _MEASURE.format(module=module)]
    try:
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ImportFailed(f"there is no {_INTERPRETER}: run `make setup`") from None
    if done.returncode:
        raise ImportFailed(f"import {module}: {done.stderr.strip()}")
    return float(done.stdout) * 1000


def figures(measured: Mapping[str, list[float]]) -> dict[str, Any]:
    """
    The report's entry: ratios are medians of the rounds' ratios, ``ratio`` is that of the slowest handler.

    Args:
        measured: Milliseconds by handler and of the floor, one value a round.
    """
    result: dict[str, Any] = {f"{FLOOR}_ms": round(spread(measured[FLOOR]).median, 1)}
    for name in HANDLERS:
        found = ratio(measured[name], measured[FLOOR])
        result[f"{name}_ms"] = round(spread(measured[name]).median, 1)
        result[f"{name}_ratio"] = round(found.median, 2)
        result[f"{name}_ratio_range"] = [round(found.least, 2), round(found.most, 2)]
    return result | {"ratio": max(result[f"{name}_ratio"] for name in HANDLERS)}


def _print(measured: Mapping[str, list[float]], result: Mapping[str, Any], console: Console) -> None:
    rows = [Row("import boto3", spread(measured[FLOOR]))]
    for name in HANDLERS:
        times = measured[f"{name}.handler"]
        rows.append(Row(f"import {name}.handler", spread(times), ratio(times, measured[FLOOR])))
    console.print(table("Import in a new process, nothing compiled", "ms CPU", rows))
    met = "met" if result["ratio"] <= GOAL else "MISSED"
    lines = (
        f"goal: every handler ≤ {GOAL} x boto3 alone: [bold]{met}[/bold] ({result['ratio']})",
        f"{told(result)}; a ratio is the median of the rounds' own ratios",
    )
    console.print("\n".join(lines), soft_wrap=True)
