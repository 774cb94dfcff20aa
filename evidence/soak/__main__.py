"""Run the soak: ``python -m evidence.soak``, or ``make soak``; exit code 0 when nothing failed, 1 otherwise."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from evidence.soak.report import REPORT, Outcome, add_run, commit, table
from evidence.soak.runs import RUNS

WIDTH_WITHOUT_TERMINAL = 160


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<18} {run.__doc__}" for name, run in RUNS.items())
    parser = argparse.ArgumentParser(
        prog="python -m evidence.soak",
        description="Whole lifetimes, every crash and a fleet, against the local AWS and real Envoys.",
        epilog=f"runs:\n{listed}\n\n"
        "Each writes its entry into the report; what was run on another commit or seed stays, and says so.\n"
        "From make: make soak ARGS='lifetimes --seed 3'.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="run", help="which to run; all of them if none is named")
    parser.add_argument("--seed", type=int, default=1, help="order of the crash boundaries (default %(default)s)")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report (default docs/soak.json)")
    return parser


def main(arguments: list[str]) -> int:
    """Run what was asked for; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in RUNS:
            parser.error(f"there is no run {name!r}; there are: {', '.join(RUNS)}")
    # A SIGTERM must clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    head = {"commit": commit(), "seed": options.seed}
    outcomes: dict[str, Outcome] = {}
    for name in options.names or RUNS:
        began = time.monotonic()

        def say(text: str, name: str = name, began: float = began) -> None:
            console.print(f"{name} {time.monotonic() - began:6.0f} s  {text}", soft_wrap=True, markup=False)

        with tempfile.TemporaryDirectory(prefix="meshcert-soak-") as folder:
            outcomes[name] = RUNS[name](Path(folder), say, options.seed)
        add_run(options.output, head, name, outcomes[name])
    console.print(table(outcomes))
    for name, outcome in outcomes.items():
        for case, faults in outcome.faults.items():
            console.print(f"[red]{name}[/red], {case}: {'; '.join(faults)}", soft_wrap=True)
    console.print(f"figures in {options.output}")
    return 1 if any(outcome.faults for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
