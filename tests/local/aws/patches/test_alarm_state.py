"""The state of an alarm: M out of N, what missing data counts for, and what a running period may say."""

from __future__ import annotations

import pytest

from local.aws.patches.cloudwatch.alarm_state import Condition

# From "Configuring how CloudWatch alarms treat missing data": the last three periods, and the states with missing,
# breaching and notBreaching. X breaches, 0 does not, - is missing.
ALL_OF_THREE = [
    ("X - X", "OK", "ALARM", "OK"),
    ("- - 0", "OK", "OK", "OK"),
    ("- - -", "INSUFFICIENT_DATA", "ALARM", "OK"),
    ("X X X", "ALARM", "ALARM", "ALARM"),
]
TWO_OF_THREE = [
    ("X - X", "ALARM", "ALARM", "ALARM"),
    ("X 0 X", "ALARM", "ALARM", "ALARM"),
    ("X - -", "OK", "ALARM", "OK"),
    ("0 0 X", "OK", "OK", "OK"),
]
TREATMENTS = ("missing", "breaching", "notBreaching")
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
def test_missing_data_counts_as_the_alarm_says(to_alarm: int, shown: str, missing: str, state: str) -> None:
    """Without a running period."""
    values = [{"X": 5.0, "0": 0.0, "-": None}[mark] for mark in shown.split()]

    assert condition(3, to_alarm, missing).judge(values, None) == state


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
    value = 9.0 if comparison.startswith("Less") else 0.0

    assert condition(statistic=statistic, comparison=comparison).judge([value], running) == state


def test_a_sum_that_is_still_growing_is_not_too_small_yet() -> None:
    """Less than one export a day: the day is young."""
    few = condition(statistic="Sum", comparison="LessThanThreshold", missing="breaching")

    assert few.judge([4.0], 0.0) == "OK"


def test_the_first_point_ends_the_lack_of_data() -> None:
    """Without waiting for its period to end."""
    assert condition().judge([None], 0.0) == "OK"
    assert condition().judge([None], None) == "INSUFFICIENT_DATA"


def test_an_alarm_of_two_periods_waits_for_the_second() -> None:
    """One breach in a running period is one of two."""
    two = condition(periods=2, to_alarm=2, missing="notBreaching")

    assert two.judge([0.0, 0.0], 5.0) == "OK"
    assert two.judge([0.0, 5.0], 5.0) == "ALARM"
