"""Every AWS call of a rotation, and a process that dies before or after it; several meshes share the work."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evidence.lifetimes.crashes import FUNCTIONS, Rotations, boundaries
from evidence.lifetimes.experiment import Experiment
from evidence.lifetimes.scale import REAL_LIFETIME_S, Scale
from evidence.lifetimes.subjects import Subject
from evidence.soak.report import Outcome
from meshcert.proxy import RotationMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from evidence.lifetimes.crashes import Boundary

IDENTITY = "only"
MESHES = 3
"""Meshes side by side, each on a local AWS of its own: a rotation mostly waits, for a tick or for a lease to end."""
_LEASE_S = 6.0


@dataclass
class _Found:
    """Outcomes on one mesh."""

    faults: dict[str, tuple[str, ...]] = field(default_factory=dict)
    not_reached: int = 0


def standing(folder: Path, rotation: RotationMode, *, lease_s: float, tick_s: float = 1.0) -> Experiment:
    """
    A mesh with one identity, whose certificate is not due for a year.

    Args:
        folder: For its files.
        rotation: How its service takes versions over.
        lease_s: The renewal function's lease, seconds; its timeout is a second less.
        tick_s: Pause between two ticks, seconds.
    """
    scale = Scale(REAL_LIFETIME_S, renewal_takes_s=1.0, tick_s=tick_s, acm_comes=False)
    subjects = [Subject(IDENTITY, rotation=rotation)]
    return Experiment(folder, subjects, scale, name="crash", function_timeout_s=int(lease_s - 1), lease_s=lease_s)


def most_deployments(rotation: RotationMode) -> int:
    """How many deployments of its service one rotation may make."""
    return 1 if rotation is RotationMode.REDEPLOY else 0


def kill_everywhere(folder: Path, say: Callable[[str], object], seed: int, rotation: RotationMode) -> Outcome:
    """
    Kill the renewal function and the export function at every call of a rotation, each in a rotation of its own.

    Args:
        folder: For the meshes' files.
        say: Takes a line about each case.
        seed: Decides the order of the cases.
        rotation: How the service takes versions over.
    """
    # Looks that only wait are the same calls again: with slower ticks there are fewer of them.
    tick_s = 1.0 if rotation is RotationMode.RELOAD else 3.0
    calls = _calls(folder / "recorded", rotation, tick_s)
    places = [boundary for function, made in calls.items() for boundary in boundaries(function, made)]
    random.Random(seed).shuffle(places)
    say(f"{len(places)} boundaries, shared by {MESHES} meshes")

    ending = threading.Event()

    def work(number: int) -> _Found:
        share = itertools.takewhile(lambda _: not ending.is_set(), places[number::MESHES])
        with (
            standing(folder / str(number), rotation, lease_s=_LEASE_S, tick_s=tick_s) as experiment,
            Rotations(experiment, IDENTITY, tick_s) as rotations,
        ):
            return _kill_at(share, rotations, rotation, lambda text: say(f"mesh {number + 1}: {text}"))

    with ThreadPoolExecutor(MESHES) as pool:
        try:
            shares = list(pool.map(work, range(MESHES)))
        finally:
            # Ctrl-C, or a mesh that failed: the others end with the rotation that they are at.
            ending.set()
    faults = {place: found for share in shares for place, found in share.faults.items()}
    figures = {
        "not_reached": sum(share.not_reached for share in shares),
        "calls": {function: len(made) for function, made in calls.items()},
    }
    return Outcome(n=len(places), faults=faults, figures=figures)


def _calls(folder: Path, rotation: RotationMode, tick_s: float) -> dict[str, list[str]]:
    """The calls of each function in a rotation that nothing disturbs."""
    with (
        standing(folder, rotation, lease_s=_LEASE_S, tick_s=tick_s) as experiment,
        Rotations(experiment, IDENTITY, tick_s) as rotations,
    ):
        return {function: rotations.record(function) for function in FUNCTIONS}


def _kill_at(
    places: Iterable[Boundary], rotations: Rotations, rotation: RotationMode, say: Callable[[str], object]
) -> _Found:
    seen = _Found()
    for number, place in enumerate(places, start=1):
        result = rotations.killed_at(place)
        # A rotation that waits less often than the recorded one ends before its last boundaries: nobody died.
        seen.not_reached += result.kills == 0
        found = tuple(result.faults(most_deployments(rotation)))
        say(f"{number}: killed {place}: {', '.join(found) or 'good'}")
        if found:
            seen.faults[str(place)] = found
    return seen
