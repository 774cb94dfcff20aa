"""The runs of the soak."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from evidence.lifetimes import fleet as fleets
from evidence.lifetimes.crashes import Rotations
from evidence.lifetimes.experiment import Experiment
from evidence.lifetimes.scale import Scale
from evidence.lifetimes.subjects import ALL, CUT_OFF
from evidence.soak import rotations as under_load
from evidence.soak.crashes import IDENTITY, kill_rotations, most_deployments, standing
from evidence.soak.hostile_definitions import spoil_definitions
from evidence.soak.hostile_input import spoil_all
from evidence.soak.kills import kill_all
from evidence.soak.large import renew_large_mesh
from evidence.soak.long_tests import run_all
from evidence.soak.paying import TEN_MINUTES_S, die_everywhere, run_at_once, throttle
from evidence.soak.policies import try_all_policies
from evidence.soak.report import Outcome
from evidence.soak.rollbacks import roll_back_often
from meshcert.proxy import RotationMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evidence.lifetimes.subjects import Subject

LIFETIME_S = 240.0
LIFETIMES = 3
CUT_OFF_LIFETIME_S = 600.0
FLEET = 100
THROTTLED_ROTATIONS = 20
_THROTTLED = 0.3
LIARS = "tests/meshcert/lifecycle/doing/test_liars.py"
LIARS_SEEDS = 25


def lifetimes(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """Three lifetimes of every trouble, side by side."""
    del seed
    return _live(folder, say, ALL, Scale(LIFETIME_S), LIFETIMES)


def outage(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """No call of the functions' or the tasks' is answered from a tenth to nine tenths of a lifetime."""
    del seed
    return _live(folder, say, CUT_OFF, Scale(CUT_OFF_LIFETIME_S, renewal_takes_s=6.0), 1)


def _live(folder: Path, say: Callable[[str], object], subjects: Sequence[Subject], scale: Scale, count: int) -> Outcome:
    with Experiment(folder, subjects, scale) as experiment:
        say(f"{len(subjects)} identities, {count} lifetimes of {scale.lifetime_s:.0f} s")
        verdicts = experiment.live(count)
    return Outcome(
        n=len(verdicts) * count,
        faults={name: verdict.faults for name, verdict in verdicts.items() if verdict.faults},
        figures={
            "lifetimes": count,
            "lifetime_s": scale.lifetime_s,
            "longest_unsettled_s": max(verdict.longest_unsettled_s for verdict in verdicts.values()),
            "oldest_served": max(verdict.oldest_served for verdict in verdicts.values()),
            "identities": {name: asdict(verdict) for name, verdict in verdicts.items()},
        },
    )


def crashes_reload(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """The process dies at every AWS call of a rotation that running tasks take over."""
    return kill_rotations(folder, say, seed, RotationMode.RELOAD)


def crashes_redeploy(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """The process dies at every AWS call of a rotation that a new deployment takes over."""
    return kill_rotations(folder, say, seed, RotationMode.REDEPLOY)


def throttling(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """AWS throttles every third call of everybody's."""
    del seed
    faults = {}
    for rotation in RotationMode:
        with (
            standing(folder / str(rotation), rotation, lease_s=16.0) as experiment,
            Rotations(experiment, IDENTITY) as rotations,
        ):
            for number in range(THROTTLED_ROTATIONS):
                found = tuple(rotations.throttled(_THROTTLED).faults(most_deployments(rotation)))
                say(f"{rotation} {number + 1} of {THROTTLED_ROTATIONS}: {', '.join(found) or 'good'}")
                if found:
                    faults[f"{rotation} {number + 1}"] = found
    return Outcome(n=THROTTLED_ROTATIONS * len(RotationMode), faults=faults, figures={"p": _THROTTLED})


def crashes_private_ca(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """The process dies at every AWS call of a rotation of Private CA's: one certificate, if a look comes soon."""
    return die_everywhere(folder, say, seed, 0.0)


def crashes_private_ca_late(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """The same, and the next look comes ten minutes later: one certificate more at most, and it is alarmed."""
    return die_everywhere(folder, say, seed, TEN_MINUTES_S)


def throttling_private_ca(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """AWS throttles every third call while Private CA issues: one certificate each."""
    del seed
    return throttle(folder, say, _THROTTLED)


def private_ca_at_once(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """Two functions ask Private CA at once, and triggers come twice, late and in any order: one certificate each."""
    return run_at_once(folder, say, seed)


def fleet(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """A hundred identities, due at once, at AWS's own rates: each renewed once, no call fails; the time is told."""
    del seed
    say(f"{FLEET} identities")
    seen = fleets.renew(folder, FLEET)
    faults = []
    if (seen.new_certificates, seen.published) != (FLEET, FLEET):
        faults.append(f"{seen.new_certificates} certificates, {seen.published} versions")
    if seen.throttled:
        faults.append(f"{seen.throttled} calls failed")
    return Outcome(n=FLEET, faults={"fleet": tuple(faults)} if faults else {}, figures=seen.figures())


def large(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """A hundred services in shards, deployed, and 150 identities renewed at once: each once, no call fails."""
    del seed
    return renew_large_mesh(folder, say)


def rotations(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """A thousand rotations of each kind on both ends, under each load, for each delivery."""
    del folder
    return under_load.rotate(under_load.cases(seed), under_load.ROTATIONS, under_load.WARM_UP, say)


def long_tests(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """The stories of the demo, and a CA replaced in three deploys under load."""
    del seed
    return run_all(folder, say)


def rollbacks(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """A bad version rolled back, six times in each of five meshes, beside processes that keep the machine busy."""
    del seed
    return roll_back_often(folder, say)


def simulation(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """Eight hundred days with a task that lies, an upstream that lies and a clock that is off, alone and together."""
    del seed
    return run_all(folder, say, LIARS, {"MESHCERT_LIARS": str(LIARS_SEEDS)})


def kills(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """Watcher and Envoy die 200 times for each delivery, at random moments of a rotation."""
    del folder
    return kill_all(say, seed)


def policies(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """Every client policy before every listener, each with certificates from everywhere and names right and wrong."""
    del folder, seed
    return try_all_policies(say)


def hostile_definitions(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """Spoiled definitions of App Mesh, in every form that the import reads."""
    del folder
    return spoil_definitions(say, seed)


def hostile_input(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """A million spoiled inputs for everything that reads what others wrote, 20,000 for the pre-flight."""
    del folder
    return spoil_all(say, seed)


RUNS: dict[str, Callable[[Path, Callable[[str], object], int], Outcome]] = {
    run.__name__: run
    for run in (
        policies,
        long_tests,
        simulation,
        rollbacks,
        kills,
        lifetimes,
        outage,
        throttling,
        throttling_private_ca,
        private_ca_at_once,
        fleet,
        large,
        crashes_private_ca,
        crashes_private_ca_late,
        crashes_reload,
        crashes_redeploy,
        hostile_input,
        hostile_definitions,
        rotations,
    )
}
"""By name, the short ones first."""
