"""Certificates of Private CA are paid for once: deaths, throttling, two functions at once, triggers out of order."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from evidence.lifetimes.at_once import AtOnce
from evidence.lifetimes.experiment import Experiment
from evidence.lifetimes.paying import TOLD, PaidRotation, PaidRotations
from evidence.lifetimes.scale import REAL_LIFETIME_S, Scale
from evidence.lifetimes.subjects import Subject
from evidence.soak.crashes import IDENTITY, LEASE_S, kill_everywhere
from evidence.soak.report import Outcome
from local.running_mesh import NotSettled, wait_until
from meshcert import naming
from meshcert.identity import IssuerName
from meshcert.lifecycle.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

THROTTLED_ROTATIONS = 20
SHUFFLED_ROTATIONS = 20
TEN_MINUTES_S = 600.0
"""When the token of five minutes has been forgotten."""
_IN_HASTE = Policy(look_again_s=1.0, shortest_between_renewals_s=0.0, retry_first_s=2.0, retry_longest_s=8.0)
_LONG_LEASE_S = 60.0
_ALARM_WITHIN_S = 150.0
"""An alarm looks every minute."""
_ISSUE = "acm-pca:IssueCertificate"


def issuing(folder: Path, lease_s: float = LEASE_S) -> Experiment:
    """
    A mesh with one identity of Private CA, whose certificate is not due for days, and no service.

    Args:
        folder: For its files.
        lease_s: The renewal function's lease, seconds; its timeout is a second less.
    """
    return Experiment(
        folder,
        [Subject(IDENTITY, served=False, issuer=IssuerName.PRIVATE_CA)],
        Scale(REAL_LIFETIME_S, acm_comes=False),
        name="paid",
        policy=_IN_HASTE,
        function_timeout_s=int(lease_s - 1),
        lease_s=lease_s,
    )


def die_everywhere(folder: Path, say: Callable[[str], object], seed: int, looks_after_s: float) -> Outcome:
    """
    Kill the renewal function and the export function at every call, each in a rotation of its own.

    Args:
        folder: For the meshes' files.
        say: Takes a line about each case.
        seed: Decides the order of the cases.
        looks_after_s: How much time has passed when the first look after a death comes, seconds; 0 lets no more pass
            than passes.
    """
    seen: list[PaidRotation] = []
    alarms: list[bool] = []
    silent: list[str] = []

    @contextlib.contextmanager
    def up(place: Path) -> Iterator[PaidRotations]:
        with issuing(place) as experiment, PaidRotations(experiment, IDENTITY, looks_after_s) as rotations:
            before = rotations.told
            yield rotations
            told = rotations.told > before
            alarms.append(has_rung(experiment, within_s=_ALARM_WITHIN_S if told else 0.0))
            if alarms[-1] != told:
                silent.append(place.name)

    def faults(rotation: PaidRotation) -> Iterator[str]:
        seen.append(rotation)
        return rotation.faults(late=looks_after_s > 0)

    outcome = kill_everywhere(folder, say, seed, up, faults)
    figures = {
        "looks_after_s": looks_after_s,
        "deaths": sum(rotation.kills for rotation in seen),
        "certificates": sum(rotation.certificates for rotation in seen),
        "told": sum(rotation.told for rotation in seen),
        "alarms": sum(alarms),
    }
    wrong = dict(outcome.faults)
    if silent:
        wrong["alarm"] = (f"it did not go off where it was told, or the other way round: meshes {silent}",)
    return Outcome(outcome.n, wrong, {**outcome.figures, **figures})


def has_rung(experiment: Experiment, within_s: float) -> bool:
    """Whether the alarm ``MayBePaidAgain`` has gone off, or does so in time."""
    alarms, name = experiment.mesh.client("cloudwatch"), naming.alarm(experiment.name, TOLD)

    def rung() -> bool:
        changes = alarms.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
        return any(change["HistorySummary"].endswith("to ALARM") for change in changes)

    try:
        return wait_until(rung, f"the alarm {name}", within_s=within_s, every_s=1.0)
    except NotSettled:
        return False


def throttle(folder: Path, say: Callable[[str], object], p: float, count: int = THROTTLED_ROTATIONS) -> Outcome:
    """
    Rotations in which every call of the functions is throttled with a probability.

    Args:
        folder: For the mesh's files.
        say: Takes a line about each rotation.
        p: The probability.
        count: How many rotations.
    """
    with issuing(folder, lease_s=16.0) as experiment, PaidRotations(experiment, IDENTITY) as rotations:
        rotated = ((f"throttled {number}", rotations.throttled(p)) for number in range(1, count + 1))
        return _judged(rotated, say, {"p": p})


def run_at_once(folder: Path, say: Callable[[str], object], seed: int, shuffled: int = SHUFFLED_ROTATIONS) -> Outcome:
    """
    Rotations that two export functions begin, one overtaken at each of its calls, and rotations of mixed triggers.

    Args:
        folder: For the mesh's files.
        say: Takes a line about each rotation.
        seed: Of the order of triggers.
        shuffled: How many rotations with mixed triggers.
    """
    chance = random.Random(seed)
    with issuing(folder, _LONG_LEASE_S) as experiment, PaidRotations(experiment, IDENTITY) as rotations:
        made = rotations.record("export")
        # Up to the row of the identity: table issuances, then table identities.
        asking = made.index(_ISSUE) + 3
        at_once = AtOnce(experiment, rotations, IDENTITY)

        def rotated() -> Iterator[tuple[str, PaidRotation]]:
            for at, call in enumerate(made[:asking], start=1):
                yield f"overtaken at {call} ({at})", at_once.overtake(at)
            for number in range(1, shuffled + 1):
                yield f"mixed triggers {number}", at_once.shuffle(chance)

        outcome = _judged(rotated(), say, {"overtaken": asking})
    wrong = dict(outcome.faults)
    if at_once.overtaken != asking:
        wrong["overtaken"] = (f"{at_once.overtaken} of {asking} functions were overtaken",)
    return Outcome(outcome.n, wrong, outcome.figures)


def _judged(
    rotated: Iterable[tuple[str, PaidRotation]], say: Callable[[str], object], figures: dict[str, float]
) -> Outcome:
    n, wrong, certificates = 0, {}, 0
    for name, rotation in rotated:
        found = tuple(rotation.faults())
        say(f"{name}: {', '.join(found) or 'good'}")
        n, certificates = n + 1, certificates + rotation.certificates
        if found:
            wrong[name] = found
    return Outcome(n, wrong, {**figures, "certificates": certificates})
