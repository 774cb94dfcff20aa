"""The state of an alarm: AWS's own tables of missing data, and what a running period may say."""

from __future__ import annotations

import pytest

from local.aws.patches.cloudwatch.alarm_states import Condition, by_period, judge

# From "Configuring how CloudWatch alarms treat missing data": the range, and the states with missing, ignore,
# breaching and notBreaching. "keep" stands for the state that the alarm is in.
ALL_OF_THREE = [
    ("0 - X - X", "OK", "OK", "OK", "OK"),
    ("- - - - 0", "OK", "OK", "OK", "OK"),
    ("- - - - -", "INSUFFICIENT_DATA", "keep", "ALARM", "OK"),
    ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("- - X - -", "ALARM", "keep", "ALARM", "OK"),
]
TWO_OF_THREE = [
    ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 - X - -", "OK", "OK", "ALARM", "OK"),
    ("- - - - 0", "OK", "OK", "ALARM", "OK"),
    ("- - - X -", "ALARM", "keep", "ALARM", "OK"),
]
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
CASES = [
    (to_alarm, shown, missing, state)
    for to_alarm, table in ((3, ALL_OF_THREE), (2, TWO_OF_THREE))
    for shown, *states in table
    for missing, state in zip(TREATMENTS, states, strict=True)
]


def condition(
    periods: int = 1,
    to_alarm: int = 1,
    missing: str = "missing",
    statistic: str = "Maximum",
    comparison: str = "GreaterThanOrEqualToThreshold",
) -> Condition:
    """An alarm at 1."""
    return Condition(comparison, 1.0, statistic, 60, periods, to_alarm, missing)


@pytest.mark.parametrize(("to_alarm", "shown", "missing", "state"), CASES)
def test_missing_data_is_treated_as_awss_tables_say(to_alarm: int, shown: str, missing: str, state: str) -> None:
    """X breaches, 0 does not, - is missing; a state that is kept is kept whichever it is."""
    values = [{"X": 5.0, "0": 0.0, "-": None}[mark] for mark in shown.split()]

    for now_is in ("OK", "ALARM", "INSUFFICIENT_DATA"):
        expected = now_is if state == "keep" else state
        assert judge(condition(3, to_alarm, missing), values, None, now_is) == expected


NOTHING: list[float | None] = [None, None, None]
FINE: list[float | None] = [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("statistic", "comparison", "running", "state"),
    [
        ("Maximum", "GreaterThanOrEqualToThreshold", 1.0, "ALARM"),
        ("Sum", "GreaterThanThreshold", 2.0, "ALARM"),
        ("Minimum", "LessThanThreshold", 0.5, "ALARM"),
        ("Average", "GreaterThanOrEqualToThreshold", 5.0, "OK"),
        ("Maximum", "GreaterThanThreshold", 1.0, "OK"),
    ],
)
def test_a_running_period_alarms_only_by_what_stays_true(
    statistic: str, comparison: str, running: float, state: str
) -> None:
    """A maximum can only rise; an average may still fall."""
    values: list[float | None] = [9.0, 9.0, 9.0] if comparison.startswith("Less") else FINE

    assert judge(condition(statistic=statistic, comparison=comparison), values, running, "OK") == state


def test_a_sum_that_is_still_growing_is_not_too_small_yet() -> None:
    """Less than one export a day: the day is young."""
    few = condition(statistic="Sum", comparison="LessThanThreshold", missing="breaching")

    assert judge(few, [4.0, 4.0, 4.0], 0.0, "OK") == "OK"


def test_the_first_point_ends_the_lack_of_data() -> None:
    """Without waiting for its period to end."""
    assert judge(condition(), NOTHING, 0.0, "INSUFFICIENT_DATA") == "OK"
    assert judge(condition(), NOTHING, None, "INSUFFICIENT_DATA") == "INSUFFICIENT_DATA"


def test_an_alarm_of_two_periods_waits_for_the_second() -> None:
    """One breach in a running period is one of two."""
    two = condition(periods=2, to_alarm=2, missing="notBreaching")

    assert judge(two, [0.0, 0.0, 0.0, 0.0], 5.0, "OK") == "OK"
    assert judge(two, [0.0, 0.0, 0.0, 5.0], 5.0, "OK") == "ALARM"


def test_points_fall_into_periods_by_the_clock() -> None:
    """Periods begin at whole multiples of their length."""
    early, first, last = ({"Timestamp": at} for at in (59.9, 60.0, 119.0))

    assert by_period([early, first, last], 60) == {0: [early], 1: [first, last]}


def test_a_metric_of_standard_resolution_is_kept_by_the_minute() -> None:
    """A ten-second alarm on it sees the point at the minute's beginning, as on AWS."""
    standard, high = ({"Timestamp": 95.0, "StorageResolution": resolution} for resolution in (60, 1))

    assert by_period([standard, high], 10) == {6: [standard], 9: [high]}
