"""
The part of benchmark ``startup`` for a quarter of a CPU, which the smallest Fargate task has: its time, its work.

A task gets 25 ms of CPU in every 100 ms. Bare Envoy needs about 50 ms until it is LIVE: two shares or three, and so its
time doubles by a millisecond more or less. A ratio to that tells how periods fall and not what a start costs. So it is
measured with the same share in periods of 10 ms, and beside it in those of 100 ms.
"""

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
FINE_PERIOD_US = 10_000
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

    def start(one: tuple[str, int]) -> Effort:
        name, period_us = one
        with tempfile.TemporaryDirectory(prefix=f"quarter-{name}-", dir=folder) as own:
            place = Place(Path(own), new_address())
            with _limited(ways[name](place), period_us) as launch, Started(launch, place.folder) as started:
                return Effort(started.live_after_ms(), started.cpu_s())

    console.print(f"A quarter of a CPU: {'no quota here: ' + refusal if refusal else 'with a quota'}", soft_wrap=True)
    names = [name for name in WAYS if name in ways]
    periods = [0] if refusal else [FINE_PERIOD_US, cpu_quota.PERIOD_US]
    starts = [(name, period_us) for name in names for period_us in periods]
    measured = interleave(starts, rounds, start, say_rounds(console, rounds))
    found = figures({name: measured[name, periods[0]] for name in names}, quota=not refusal)
    if not refusal:
        coarse = figures({name: measured[name, cpu_quota.PERIOD_US] for name in names}, quota=True)
        found |= {f"{name}_100_ms": coarse[name] for name in ("quarter_cpu_ratio", "walkthrough_quarter_cpu_ratio")}
    return found


def figures(efforts: Mapping[str, list[Effort]], *, quota: bool) -> dict[str, Any]:
    """
    The figures of one period: medians of the rounds, ratios of the rounds' own values; None for what was not measured.

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
    coarse = result.get("quarter_cpu_ratio_100_ms")
    return (
        f"{manner}: {result['quarter_cpu_ratio']} x bare ({least} - {most}), walkthrough {walkthrough or '-'}; "
        f"goal: ≤ {GOAL} [bold]{met}[/bold]{f'; in periods of 100 ms: {coarse}' if coarse else ''}\n"
        f"CPU seconds of a start: {result['cpu_s']} s, bare {result['bare_cpu_s']} s, "
        f"walkthrough {result['walkthrough_cpu_s'] or '-'} s"
    )


@contextmanager
def _limited(launch: Launch, period_us: int) -> Iterator[Launch]:
    """The launch within a cgroup of its own that has a quarter of a CPU; the launch itself if the period is 0."""
    if not period_us:
        yield launch
        return
    group = cpu_quota.open_quota(launch.address, UNITS, period_us)
    try:
        yield launch._replace(command=group.joining(launch.command))
    finally:
        group.remove()
