"""The second half of a lifetime of eight minutes: real functions, Envoys and clock; AWS treats four unequally."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.lifetimes.experiment import Experiment
from evidence.lifetimes.scale import Scale
from evidence.lifetimes.subjects import ALL

if TYPE_CHECKING:
    from evidence.lifetimes.verdict import Verdict

LIVED = ("healthy", "lost", "denied", "vaultless")
# Other tests have the machine too, and a process starts no faster because certificates live shorter: time goes slowly
# here, and more than half of the first lifetime is gone at issue. The rest is for the deploy, before the outages.
SCALE = Scale(lifetime_s=480.0, born_days_ago=217, renewal_takes_s=12.0, tick_s=4.8, sweep_s=14.4)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """The verdict on each identity, after one renewal of all of them."""
    subjects = [subject for subject in ALL if subject.name in LIVED]
    with Experiment(tmp_path_factory.mktemp("lifetimes"), subjects, SCALE) as experiment:
        found = experiment.live(renewals=1)
    for name, verdict in found.items():
        print(f"{name}: {verdict}")  # noqa: T201 -- the counts of the small run, for whoever reads a failure
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", LIVED)
def test_a_lifetime_passes_without_a_fault(verdicts: dict[str, Verdict], name: str) -> None:
    """Nothing expired is served; as many certificates as versions as epochs; never unsettled for too long."""
    assert verdicts[name].faults == ()
    assert (verdicts[name].serials, verdicts[name].versions, verdicts[name].epochs) == (2, 2, 2)


def test_aws_failed_whom_it_should(verdicts: dict[str, Verdict]) -> None:
    """Guards the test above: the outages were there, and the others had none."""
    outages = {name: verdict.outages for name, verdict in verdicts.items()}

    assert outages == {"healthy": 0, "lost": 0, "denied": 1, "vaultless": 1}
