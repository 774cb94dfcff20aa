"""Run benchmarks: ``make bench``; exit code 0 when they were measured, 1 when one failed."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from evidence.bench import (
    against,
    attached,
    cold_import,
    data_path,
    endpoints,
    fleet,
    fleet_local_aws,
    importing,
    issuance,
    resumption,
    rotation,
    scale,
    slow_start,
    startup,
)
from evidence.bench.against import CommitUnknown
from evidence.bench.cold_import import ImportFailed
from evidence.bench.image import ImageFailed
from evidence.bench.load_generator import LoadFailed
from evidence.bench.recorded_status import StatusFailed
from evidence.bench.report import ReportUnreadable, add_figures, read_report
from evidence.bench.rotation import RotationFailed
from evidence.bench.scale import SynthesisFailed
from evidence.bench.start import StartFailed


class Benchmark(Protocol):
    """A module that measures something."""

    NAME: str
    SUMMARY: str

    def run(self, rounds: int, console: Console) -> dict[str, Any]:
        """Measure, print a table, and give the figures for the report."""
        ...


BENCHMARKS: dict[str, Benchmark] = {
    module.NAME: module
    for module in (
        startup,
        rotation,
        slow_start,
        endpoints,
        cold_import,
        fleet,
        fleet_local_aws,
        attached,
        scale,
        importing,
        issuance,
        resumption,
        data_path,
    )
}
"""In their order."""
FAILED = (
    CommitUnknown,
    ImageFailed,
    ImportFailed,
    LoadFailed,
    ReportUnreadable,
    RotationFailed,
    StartFailed,
    StatusFailed,
    SynthesisFailed,
)
DEFAULT_ROUNDS = 15
MOST_ROUNDS = 1000
WIDTH_WITHOUT_TERMINAL = 120


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_ROUNDS}, not {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<16} {module.SUMMARY}" for name, module in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m evidence.bench",
        description="Measures what meshcert claims about speed, on this machine.",
        epilog=f"benchmarks:\n{listed}\n\n"
        "Every benchmark prints a table and replaces its own entry in the report; the others' entries stay.\n"
        "A missed goal is printed and is no failure: the figures are the result.\n"
        "From make: make bench ARGS='startup --rounds 30', make bench ARGS='startup --against main'.\n"
        "What is compared: docs/benchmarks.md.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="benchmark", help="which to run; all of them if none is named")
    parser.add_argument(
        "--rounds",
        type=_rounds,
        default=DEFAULT_ROUNDS,
        help="rounds that count, after one to warm up (default %(default)s)",
    )
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help=f"with startup alone: compare this tree's start with another commit's (entry {against.NAME})",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("build/bench.json"), help="the report (default %(default)s)"
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run the benchmarks that were asked for; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    if options.against and options.names != [startup.NAME]:
        parser.error(f"--against compares starts: say `{startup.NAME} --against COMMIT`")
    # A SIGTERM must clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    try:
        read_report(options.output)  # not after minutes of measuring
        if options.against:
            figures = against.run(options.against, options.rounds, console)
            add_figures(options.output, against.NAME, figures)
        else:
            for name in options.names or BENCHMARKS:
                add_figures(options.output, name, BENCHMARKS[name].run(options.rounds, console))
    except FAILED as error:
        console.print(f"[red]The benchmark stopped:[/red] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(f"figures in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
