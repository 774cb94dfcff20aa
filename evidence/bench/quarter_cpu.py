"""The part of benchmark ``startup`` for a quarter of a CPU, which the smallest Fargate task has: its time, its work."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evidence.bench.report import say_rounds
from evidence.bench.rounds import interleave, ratio, spread
from evidence.bench.start import Started
from evidence.bench.ways import Place
from local.aws.fargate.containers import cpu_quota

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from evidence.bench.start import Launch

GOAL = 3.0
"""A start may take this many times what bare Envoy's takes."""
UNITS = 256
"""CPU units of the smallest Fargate task; 1,024 are one CPU."""
BARE, MESHCERT, WALKTHROUGH, BARE_RSA = "bare_ec", "ec", "walkthrough", "bare_rsa"
WAYS = (BARE, MESHCERT, BARE_RSA, WALKTHROUGH)
"""What is compared; the walkthrough's way takes RSA only, so it has a floor of its own."""


class Effort(NamedTuple):
    """
    What one start took.

    Args:
        live_after_ms: Milliseconds from start to LIVE with secrets.
        cpu_s: CPU seconds of all its processes until then.
    """

    live_after_ms: float
    cpu_s: float


def measure(
    ways: Mapping[str, Callable[[Place], Launch]],
    rounds: int,
    folder: Path,
    new_address: Callable[[], str],
    console: Console,
) -> dict[str, Any]:
    """
    Start each way once a round, in a cgroup with a quota where that is permitted.

    Args:
        ways: By name; those of :data:`WAYS` that are there are measured.
        folder: For what they write.
        new_address: Gives each start an address of its own.

    Returns:
        The figures for the report.

    Raises:
        StartFailed: If a start fails.
    """
    refusal = cpu_quota.refusal()

    def start(name: str) -> Effort:
        with tempfile.TemporaryDirectory(prefix=f"quarter-{name}-", dir=folder) as own:
            place = Place(Path(own), new_address())
            with _limited(ways[name](place), quota=not refusal) as launch, Started(launch, place.folder) as started:
                return Effort(started.live_after_ms(), started.cpu_s())

    console.print(f"A quarter of a CPU: {'no quota here: ' + refusal if refusal else 'with a quota'}", soft_wrap=True)
    names = [name for name in WAYS if name in ways]
    return figures(interleave(names, rounds, start, say_rounds(console, rounds)), quota=not refusal)


def figures(efforts: Mapping[str, list[Effort]], *, quota: bool) -> dict[str, Any]:
    """
    The figures for the report: medians of the rounds, ratios of the rounds' own values; None for what was not measured.

    Args:
        efforts: By way, one value a round.
        quota: Whether the starts had a quota: then the ratios are of time, else of CPU seconds.
    """
    cost = {name: [one.live_after_ms if quota else one.cpu_s for one in found] for name, found in efforts.items()}
    own = ratio(cost[MESHCERT], cost[BARE])
    theirs = ratio(cost[WALKTHROUGH], cost[BARE_RSA]) if WALKTHROUGH in cost else None
    seconds = {name: round(spread([one.cpu_s for one in found]).median, 3) for name, found in efforts.items()}
    return {
        "quota": quota,
        "quarter_cpu_goal": GOAL,
        "quarter_cpu_ratio": round(own.median, 2),
        "quarter_cpu_ratio_range": [round(own.least, 2), round(own.most, 2)],
        "walkthrough_quarter_cpu_ratio": round(theirs.median, 2) if theirs else None,
        "cpu_s": seconds[MESHCERT],
        "bare_cpu_s": seconds[BARE],
        "walkthrough_cpu_s": seconds.get(WALKTHROUGH),
    }


def told(result: Mapping[str, Any]) -> str:
    """The lines under the benchmark's table."""
    met = "met" if result["quarter_cpu_ratio"] <= GOAL else "MISSED"
    least, most = result["quarter_cpu_ratio_range"]
    manner = "with a CPU quota of 0.25" if result["quota"] else "in CPU seconds, because no quota is permitted here"
    walkthrough = result["walkthrough_quarter_cpu_ratio"]
    return (
        f"{manner}: {result['quarter_cpu_ratio']} x bare ({least} - {most}), walkthrough {walkthrough or '-'}; "
        f"goal: ≤ {GOAL} [bold]{met}[/bold]\n"
        f"CPU seconds of a start: {result['cpu_s']} s, bare {result['bare_cpu_s']} s, "
        f"walkthrough {result['walkthrough_cpu_s'] or '-'} s"
    )


@contextmanager
def _limited(launch: Launch, *, quota: bool) -> Iterator[Launch]:
    """The launch within a cgroup of its own that has a quarter of a CPU; the launch itself without a quota."""
    if not quota:
        yield launch
        return
    group = cpu_quota.open_quota(launch.address, UNITS)
    try:
        yield launch._replace(command=group.joining(launch.command))
    finally:
        group.remove()
