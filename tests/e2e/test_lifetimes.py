"""A lifetime in two minutes: real functions, real Envoys, the real clock, four identities that AWS treats unequally."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.lifetimes.experiment import Experiment
from local.lifetimes.fates import ALL, Trouble
from local.lifetimes.scale import Scale

if TYPE_CHECKING:
    from local.lifetimes.verdict import Verdict

LIVED = (Trouble.NONE, Trouble.EVENTS_LOST, Trouble.NO_PERMISSION, Trouble.NO_SECRETS_MANAGER)
# Two fifths of the first lifetime are gone at issue: what can only be waited for.
SCALE = Scale(lifetime_s=120.0, born_days_ago=158)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[Trouble, Verdict]:
    """The verdict on each identity, after one renewal of all of them."""
    subjects = [subject for subject in ALL if subject.trouble in LIVED]
    with Experiment(tmp_path_factory.mktemp("lifetimes"), subjects, SCALE) as experiment:
        found = experiment.live(renewals=1)
    for name, verdict in found.items():
        print(f"{name}: {verdict}")  # noqa: T201 -- the counts of the small run, for whoever reads a failure
    return {subject.trouble: found[subject.name] for subject in subjects}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("trouble", LIVED, ids=[trouble.name for trouble in LIVED])
def test_a_lifetime_passes_without_a_fault(verdicts: dict[Trouble, Verdict], trouble: Trouble) -> None:
    """Nothing expired is served; as many certificates as versions as epochs; never unsettled for too long."""
    assert verdicts[trouble].faults == ()
    assert (verdicts[trouble].serials, verdicts[trouble].versions, verdicts[trouble].epochs) == (2, 2, 2)


def test_aws_failed_whom_it_should(verdicts: dict[Trouble, Verdict]) -> None:
    """Guards the test above: the outages were there, and the others had none."""
    outages = {trouble: verdict.outages for trouble, verdict in verdicts.items()}

    assert outages == {
        Trouble.NONE: 0,
        Trouble.EVENTS_LOST: 0,
        Trouble.NO_PERMISSION: 1,
        Trouble.NO_SECRETS_MANAGER: 1,
    }
