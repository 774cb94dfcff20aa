"""The runs of the soak."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import TYPE_CHECKING

from local.lifetimes import fleet as fleets
from local.lifetimes.crashes import FUNCTIONS, Rotations, boundaries
from local.lifetimes.experiment import Experiment
from local.lifetimes.fates import ALL, Subject
from local.lifetimes.scale import REAL_LIFETIME_S, Scale
from meshcert.proxy import Rotation
from soak.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIFETIME_S = 240.0
LIFETIMES = 3
FLEET = 100
OVER_FLOOR = 1.25
THROTTLED_ROTATIONS = 20
_THROTTLED = 0.3
_LEASE_S = 6.0
_ONLY = "only"


def lifetimes(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """Three lifetimes of every trouble, side by side."""
    del seed
    with Experiment(folder, ALL, Scale(LIFETIME_S)) as experiment:
        say(f"{len(ALL)} identities, {LIFETIMES} lifetimes of {LIFETIME_S:.0f} s")
        verdicts = experiment.live(LIFETIMES)
    return Outcome(
        n=len(verdicts) * LIFETIMES,
        faults={name: verdict.faults for name, verdict in verdicts.items() if verdict.faults},
        figures={
            "lifetimes": LIFETIMES,
            "lifetime_s": LIFETIME_S,
            "longest_unsettled_s": max(verdict.longest_unsettled_s for verdict in verdicts.values()),
            "oldest_served": max(verdict.oldest_served for verdict in verdicts.values()),
            "identities": {name: asdict(verdict) for name, verdict in verdicts.items()},
        },
    )


def crashes_reload(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """The process dies at every AWS call of a rotation that running tasks take over."""
    return _crashes(folder, say, seed, Rotation.RELOAD)


def crashes_redeploy(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """The process dies at every AWS call of a rotation that a new deployment takes over."""
    return _crashes(folder, say, seed, Rotation.REDEPLOY)


def throttling(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """AWS throttles every third call of everybody's."""
    del seed
    faults = {}
    for rotation in Rotation:
        with (
            _standing(folder / str(rotation), rotation, lease_s=16.0) as experiment,
            Rotations(experiment, _ONLY) as rotations,
        ):
            for number in range(THROTTLED_ROTATIONS):
                found = tuple(rotations.throttled(_THROTTLED).faults(_deployments(rotation)))
                say(f"{rotation} {number + 1} of {THROTTLED_ROTATIONS}: {', '.join(found) or 'good'}")
                if found:
                    faults[f"{rotation} {number + 1}"] = found
    return Outcome(n=THROTTLED_ROTATIONS * len(Rotation), faults=faults, figures={"p": _THROTTLED})


def fleet(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """A hundred identities, due at once, at AWS's own rates."""
    del seed
    say(f"{FLEET} identities")
    seen = fleets.renew(folder, FLEET)
    faults = []
    if (seen.new_certificates, seen.published) != (FLEET, FLEET):
        faults.append(f"{seen.new_certificates} certificates, {seen.published} versions")
    if seen.throttled:
        faults.append(f"{seen.throttled} calls failed")
    if seen.over_floor > OVER_FLOOR:
        faults.append(f"{seen.over_floor:.2f} times the floor, not {OVER_FLOOR}")
    return Outcome(n=FLEET, faults={"fleet": tuple(faults)} if faults else {}, figures=seen.figures())


def _crashes(folder: Path, say: Callable[[str], object], seed: int, rotation: Rotation) -> Outcome:
    faults: dict[str, tuple[str, ...]] = {}
    unmet = 0
    # Looks that only wait are the same calls again: with slower ticks there are fewer of them.
    tick_s = 1.0 if rotation is Rotation.RELOAD else 3.0
    with (
        _standing(folder, rotation, lease_s=_LEASE_S, tick_s=tick_s) as experiment,
        Rotations(experiment, _ONLY, tick_s) as rotations,
    ):
        calls = {function: rotations.record(function) for function in FUNCTIONS}
        places = [boundary for function, made in calls.items() for boundary in boundaries(function, made)]
        random.Random(seed).shuffle(places)  # noqa: S311 -- an order, not a secret
        for number, place in enumerate(places, start=1):
            result = rotations.killed_at(place)
            # A rotation that waits less often than the recorded one ends before its last boundaries: nobody died.
            unmet += result.kills == 0
            found = tuple(result.faults(_deployments(rotation)))
            say(f"{number} of {len(places)}: killed {place}: {', '.join(found) or 'good'}")
            if found:
                faults[str(place)] = found
    figures = {"not_reached": unmet, "calls": {function: len(made) for function, made in calls.items()}}
    return Outcome(n=len(places), faults=faults, figures=figures)


def _standing(folder: Path, rotation: Rotation, *, lease_s: float, tick_s: float = 1.0) -> Experiment:
    """A mesh with one identity, whose certificate is not due for a year."""
    scale = Scale(REAL_LIFETIME_S, renewal_takes_s=1.0, tick_s=tick_s, acm_comes=False)
    subjects = [Subject(_ONLY, rotation=rotation)]
    return Experiment(folder, subjects, scale, name="crash", function_timeout_s=int(lease_s - 1), lease_s=lease_s)


def _deployments(rotation: Rotation) -> int:
    return 1 if rotation is Rotation.REDEPLOY else 0


RUNS: dict[str, Callable[[Path, Callable[[str], object], int], Outcome]] = {
    run.__name__: run for run in (lifetimes, throttling, fleet, crashes_reload, crashes_redeploy)
}
"""By name, the short ones first."""
