"""How short a life may be: Secrets Manager's quota of versions, counted."""

from __future__ import annotations

import datetime as dt

import pytest

from meshcert.issuing.private_ca_lives import (
    MOST_VERSIONS,
    OLDER_VERSIONS,
    RENEWED_FROM,
    RENEWED_ON_AVERAGE,
    RENEWED_UNTIL,
    shortest_life,
)

DAY = dt.timedelta(hours=24)


def most_versions(life: dt.timedelta, puts: int) -> int:
    """The most versions that a secret holds at once if each epoch begins as early as it may."""
    begins = [life * float(RENEWED_FROM) * epoch for epoch in range(2 * round(DAY / (life / 2)) + 2)]
    # A version stays until it is 24 hours old, and is counted at that very moment too.
    return max(sum(puts for other in begins if now - DAY <= other <= now) for now in begins) + OLDER_VERSIONS


def test_the_shortest_life_is_an_hour() -> None:
    """Two versions an epoch, 48 renewals a day and the one before: 98 versions, and two that labels keep."""
    assert shortest_life() == dt.timedelta(hours=1)


@pytest.mark.parametrize("puts", [1, 2, 3, 4, 7])
def test_a_life_at_the_floor_fits_and_a_shorter_one_does_not(puts: int) -> None:
    """Counted version by version, without the formula."""
    floor = shortest_life(puts)
    assert most_versions(floor, puts) <= MOST_VERSIONS

    fewer_epochs = (MOST_VERSIONS - OLDER_VERSIONS) // puts
    too_short = DAY / float(RENEWED_FROM) / fewer_epochs - dt.timedelta(seconds=1)
    assert too_short < floor
    assert most_versions(too_short, puts) > MOST_VERSIONS


@pytest.mark.parametrize("puts", [98, 1000])
def test_so_many_versions_an_epoch_that_none_could_follow_are_refused(puts: int) -> None:
    """There would be no life at all."""
    with pytest.raises(ValueError, match=f"^{puts} versions an epoch leave no room"):
        shortest_life(puts)


def test_renewals_come_at_seven_twelfths_on_average() -> None:
    """What the costs count with."""
    assert RENEWED_ON_AVERAGE * 12 == 7
    assert RENEWED_FROM < RENEWED_ON_AVERAGE < RENEWED_UNTIL
