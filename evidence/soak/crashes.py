"""Every AWS call of a rotation, and a process that dies before or after it; several meshes share the work."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from evidence.lifetimes.crashes import FUNCTIONS, Rotations, boundaries
from evidence.lifetimes.experiment import Experiment
from evidence.lifetimes.scale import REAL_LIFETIME_S, Scale
from evidence.lifetimes.subjects import Subject
from evidence.soak.report import Outcome
from meshcert.proxy import RotationMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from evidence.lifetimes.crashes import Boundary

IDENTITY = "only"
MESHES = 3
"""Meshes side by side, each on a local AWS of its own: a rotation mostly waits, for a tick or for a lease to end."""
LEASE_S = 6.0
"""The renewal function's lease: what another run waits for after a death, seconds."""


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


class Killed(Protocol):
    """What a rotation came to in which a process was to die."""

    @property
    def kills(self) -> int:
        """How often one did."""
        ...


Rotated = TypeVar("Rotated", bound=Killed)
Rotated_co = TypeVar("Rotated_co", bound=Killed, covariant=True)


class Mesh(Protocol[Rotated_co]):
    """A mesh whose one identity can be rotated again and again."""

    def record(self, function: str) -> list[str]:
        """The calls of a function in one whole rotation, in their order, ``service:Action``."""
        ...

    def killed_at(self, boundary: Boundary) -> Rotated_co:
        """A rotation in which a process dies at a boundary."""
        ...


def kill_rotations(folder: Path, say: Callable[[str], object], seed: int, rotation: RotationMode) -> Outcome:
    """
    Kill the renewal function and the export function at every call of a rotation of ACM's.

    Args:
        rotation: How the service takes versions over.
    """
    # Looks that only wait are the same calls again: with slower ticks there are fewer of them.
    tick_s = 1.0 if rotation is RotationMode.RELOAD else 3.0

    @contextlib.contextmanager
    def up(place: Path) -> Iterator[Rotations]:
        with (
            standing(place, rotation, lease_s=LEASE_S, tick_s=tick_s) as experiment,
            Rotations(experiment, IDENTITY, tick_s) as rotations,
        ):
            yield rotations

    return kill_everywhere(folder, say, seed, up, lambda result: result.faults(most_deployments(rotation)))


def kill_everywhere(
    folder: Path,
    say: Callable[[str], object],
    seed: int,
    up: Callable[[Path], AbstractContextManager[Mesh[Rotated]]],
    faults: Callable[[Rotated], Iterator[str]],
) -> Outcome:
    """
    Kill the renewal function and the export function at every call of a rotation, each in a rotation of its own.

    Args:
        folder: For the meshes' files.
        say: Takes a line about each case.
        seed: Decides the order of the cases.
        up: A mesh, for as long as the context lasts; its files go into a folder.
        faults: What was wrong with a rotation.
    """
    with up(folder / "recorded") as mesh:
        calls = {function: mesh.record(function) for function in FUNCTIONS}
    places = [boundary for function, made in calls.items() for boundary in boundaries(function, made)]
    random.Random(seed).shuffle(places)
    say(f"{len(places)} boundaries, shared by {MESHES} meshes")

    ending = threading.Event()

    def work(number: int) -> _Found:
        share = itertools.takewhile(lambda _: not ending.is_set(), places[number::MESHES])
        with up(folder / str(number)) as mesh:
            return _kill_at(share, mesh, faults, lambda text: say(f"mesh {number + 1}: {text}"))

    with ThreadPoolExecutor(MESHES) as pool:
        try:
            shares = list(pool.map(work, range(MESHES)))
        finally:
            # Ctrl-C, or a mesh that failed: the others end with the rotation that they are at.
            ending.set()
    found = {place: sentences for share in shares for place, sentences in share.faults.items()}
    figures = {
        "not_reached": sum(share.not_reached for share in shares),
        "calls": {function: len(made) for function, made in calls.items()},
    }
    return Outcome(n=len(places), faults=found, figures=figures)


def _kill_at(
    places: Iterable[Boundary],
    mesh: Mesh[Rotated],
    faults: Callable[[Rotated], Iterator[str]],
    say: Callable[[str], object],
) -> _Found:
    seen = _Found()
    for number, place in enumerate(places, start=1):
        result = mesh.killed_at(place)
        # A rotation that waits less often than the recorded one ends before its last boundaries: nobody died.
        seen.not_reached += result.kills == 0
        found = tuple(faults(result))
        say(f"{number}: killed {place}: {', '.join(found) or 'good'}")
        if found:
            seen.faults[str(place)] = found
    return seen
