"""When certificates are renewed: thousands of identities by an injected clock, counted."""

from __future__ import annotations

import datetime as dt
import heapq
import statistics
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest

from meshcert.lifecycle.deciding.renewal_times import (
    FIRST_WAIT,
    LONGEST_FIRST_WAIT,
    LONGEST_WAIT,
    first_renewal_fraction,
    next_try,
    renewal_fraction,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DEPLOYED = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
IDENTITIES = 1_000
LIFE = DAY
WINDOWS = {"half a life": LIFE / 2, "between renewals": LIFE * 7 / 12, "two thirds": LIFE * 2 / 3, "a life": LIFE}
KEYS = [b"one mesh", b"another", bytes(32)]


class Run(NamedTuple):
    """What happened to a fleet: when each certificate was renewed, each try, and how many ended before that."""

    renewals: list[dt.datetime]
    tries: list[dt.datetime]
    expired: int


def fleet(
    key: bytes,
    *,
    first: Callable[[bytes, str, str], float] = first_renewal_fraction,
    outage: tuple[dt.datetime, dt.datetime] = (DEPLOYED, DEPLOYED),
    days: int = 7,
) -> Run:
    """A thousand identities of 24 h that are deployed at once, without what the deploy itself issues."""
    names = [f"service-{number}" for number in range(IDENTITIES)]
    serials = dict.fromkeys(names, 0)
    issued = dict.fromkeys(names, DEPLOYED)
    due = [(DEPLOYED + LIFE * first(key, name, "0"), name, 0) for name in names]
    heapq.heapify(due)
    run, expired = Run([], [], 0), 0
    while due[0][0] < DEPLOYED + days * DAY:
        now, name, failures = heapq.heappop(due)
        serial, ends = str(serials[name]), issued[name] + LIFE
        run.tries.append(now)
        if outage[0] <= now < outage[1]:
            at = next_try(key, name, serial, issued_at=issued[name], ends_at=ends, failed_at=now, failures=failures + 1)
            heapq.heappush(due, (at, name, failures + 1))
            continue
        expired += now > ends
        run.renewals.append(now)
        serials[name], issued[name] = serials[name] + 1, now
        heapq.heappush(due, (now + LIFE * renewal_fraction(key, name, str(serials[name])), name, 0))
    return run._replace(expired=expired)


def peak_over_mean(times: list[dt.datetime], days: int = 7) -> float:
    """The fullest hour over the mean of all."""
    hours = Counter((time - DEPLOYED) // HOUR for time in times)
    return max(hours.values()) / (len(times) / (days * 24))


def spread(times: list[dt.datetime], window: dt.timedelta) -> float:
    """The standard deviation of the renewals in the first window, over that of an even spread in it."""
    inside = [(time - DEPLOYED) / window for time in times if time < DEPLOYED + window]
    return statistics.pstdev(inside) * 12**0.5


@pytest.mark.parametrize("key", KEYS)
def test_a_fleet_deployed_at_once_is_renewed_evenly_from_the_first_window_on(key: bytes) -> None:
    """Seven days of a thousand identities of 24 h: nobody expires, no hour is half fuller than the mean."""
    run = fleet(key)

    assert {name: spread(run.renewals, window) >= 0.9 for name, window in WINDOWS.items()} == dict.fromkeys(
        WINDOWS, True
    )
    assert peak_over_mean(run.renewals) <= 1.5
    assert len(run.renewals) == pytest.approx(IDENTITIES * 7 * 12 / 7, rel=0.02)
    assert run.expired == 0


def test_without_a_draw_of_its_own_the_first_renewal_would_be_a_herd() -> None:
    """The bounds tell the two apart."""
    run = fleet(KEYS[0], first=renewal_fraction)

    assert peak_over_mean(run.renewals) > 3
    assert spread(run.renewals, WINDOWS["two thirds"]) < 0.9


def test_first_renewals_have_the_spread_into_which_renewals_settle() -> None:
    """Even up to half of the life, falling to nothing at two thirds: shares and the fifths of the falling end."""
    drawn = [first_renewal_fraction(KEYS[0], f"service-{number}", "0") for number in range(20_000)]

    even = [fraction for fraction in drawn if fraction < 1 / 2]
    fifths = Counter(int((fraction - 1 / 2) * 30) for fraction in drawn if fraction >= 1 / 2)

    assert max(drawn) < 2 / 3
    assert len(even) / len(drawn) == pytest.approx(6 / 7, abs=0.01)
    assert statistics.pstdev(even) == pytest.approx(0.5 / 12**0.5, rel=0.02)
    assert [fifths[fifth] / (len(drawn) - len(even)) for fifth in range(5)] == pytest.approx(
        [0.36, 0.28, 0.20, 0.12, 0.04], abs=0.03
    )


def test_later_renewals_come_evenly_between_half_and_two_thirds() -> None:
    """One moment for each certificate, whoever asks and however often."""
    drawn = [renewal_fraction(KEYS[0], "front", f"{serial:x}") for serial in range(20_000)]

    assert drawn == [renewal_fraction(KEYS[0], "front", f"{serial:x}") for serial in range(20_000)]
    assert 1 / 2 <= min(drawn) < 0.501
    assert 0.665 < max(drawn) < 2 / 3
    assert statistics.fmean(drawn) == pytest.approx(7 / 12, abs=0.001)
    assert statistics.pstdev(drawn) == pytest.approx(1 / 6 / 12**0.5, rel=0.02)


def test_identity_serial_number_and_key_each_move_the_moment() -> None:
    """And none takes the place of another: their texts do not run together."""
    moments = {
        renewal_fraction(key, identity, serial)
        for key, identity, serial in [
            (b"k", "front", "01"),
            (b"k", "front", "02"),
            (b"k", "back", "01"),
            (b"j", "front", "01"),
            (b"k", "front0", "1"),
            (b"k", "fron", "t01"),
        ]
    }

    assert len(moments) == 6


@pytest.mark.parametrize("begins_h", [0.5, 9, 30, 100.25])
def test_an_outage_of_six_hours_lets_nobody_expire_and_ends_without_a_herd(begins_h: float) -> None:
    """A third of a day's life is left at the latest renewal; those who failed come back spread over two hours."""
    begins = DEPLOYED + begins_h * HOUR
    run = fleet(KEYS[0], outage=(begins, begins + 6 * HOUR))
    failed = [time for time in run.tries if begins <= time < begins + 6 * HOUR]
    minutes = Counter((time - begins) // dt.timedelta(minutes=1) for time in run.renewals if time >= begins)

    assert run.expired == 0
    assert len(failed) < 6 * IDENTITIES * 6 / 14
    assert max(minutes.values()) < 25


@pytest.mark.parametrize("life", [HOUR, DAY, 7 * DAY, 365 * DAY])
def test_tries_back_off_while_life_remains_and_come_closer_towards_its_end(life: dt.timedelta) -> None:
    """Between the first wait and a day; the last try before the end is not further from it than two first waits."""
    first = min(life * FIRST_WAIT, LONGEST_FIRST_WAIT)
    tries = [DEPLOYED + life / 2]
    while tries[-1] < DEPLOYED + life + 10 * first and len(tries) < 1_000:
        at = next_try(
            KEYS[0],
            "front",
            "01",
            issued_at=DEPLOYED,
            ends_at=DEPLOYED + life,
            failed_at=tries[-1],
            failures=len(tries),
        )
        tries.append(at)
    waits = [later - earlier for earlier, later in pairwise(tries)]
    before_end = [time for time in tries if time < DEPLOYED + life]

    assert all(first * 0.75 <= wait <= LONGEST_WAIT for wait in waits)
    assert waits[1] > waits[0] * 1.5
    assert waits[2] > waits[1] * 1.5
    assert DEPLOYED + life - before_end[-1] <= 2 * first
    assert len(tries) < 1_000
