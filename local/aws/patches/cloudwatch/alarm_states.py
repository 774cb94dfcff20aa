"""
The state of a metric alarm, from its points and the time: pure, so that every rule can be tested on a table.

Rules: "Using Amazon CloudWatch alarms" and "Configuring how CloudWatch alarms treat missing data", CloudWatch user
guide. Two things are ours: the evaluation range reaches two periods further back than the evaluation periods (AWS does
not say how far; its examples show two), and a running period counts at once if nothing can undo what it shows.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

EXTRA_PERIODS = 2
STANDARD_RESOLUTION_S = 60
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# More points can only raise a maximum, and the sum or number of what is never negative; only lower a minimum.
_FINAL = {"Greater": frozenset({"Maximum", "Sum", "SampleCount"}), "Less": frozenset({"Minimum"})}


@dataclass(frozen=True)
class Condition:
    """
    When an alarm alarms.

    Args:
        comparison: AWS's ComparisonOperator, without those of anomaly detection.
        threshold: What values are compared with.
        statistic: Which of a period's statistics is compared.
        period_s: Seconds.
        periods: EvaluationPeriods (N).
        to_alarm: DatapointsToAlarm (M), at most ``periods``.
        missing: TreatMissingData.
    """

    comparison: str
    threshold: float
    statistic: str
    period_s: int
    periods: int
    to_alarm: int
    missing: str

    @property
    def is_known(self) -> bool:
        """Whether the comparison is one of those with a threshold."""
        return self.comparison in _COMPARE

    @property
    def first_period(self) -> int:
        """The oldest period of the evaluation range, counted back from the running one."""
        return self.periods + EXTRA_PERIODS

    def breaches(self, value: float) -> bool:
        """Whether a period's value breaches the threshold."""
        return _COMPARE[self.comparison](value, self.threshold)

    @property
    def is_final_while_running(self) -> bool:
        """Whether a breach of a running period stays one, whatever is still to come."""
        return any(self.comparison.startswith(way) and self.statistic in final for way, final in _FINAL.items())


def judge(condition: Condition, values: Sequence[float | None], running: float | None, now_is: str) -> str:
    """
    The state that an alarm goes to.

    Args:
        condition: When it alarms.
        values: Of the complete periods in the evaluation range, oldest first; None where there are no points.
        running: Of the period that is not over yet.
        now_is: Its present state.

    Returns:
        One of OK, ALARM and INSUFFICIENT_DATA.
    """
    complete = [None if value is None else condition.breaches(value) for value in values]
    current = None if running is None else condition.breaches(running)
    with_current = [*complete[1:], current]
    if current and condition.is_final_while_running and _state(condition, with_current, now_is) == ALARM:
        return ALARM
    if all(flag is None for flag in complete) and current is False:
        return _state(condition, with_current, now_is)
    return _state(condition, complete, now_is)


def _state(condition: Condition, breaching: Sequence[bool | None], now_is: str) -> str:
    known = [flag for flag in breaching if flag is not None]
    filled = max(0, condition.periods - len(known))
    latest = known[-condition.periods :]
    breaches = sum(latest) + (filled if condition.missing == "breaching" else 0)
    if breaches >= condition.to_alarm:
        return ALARM
    if condition.missing in {"breaching", "notBreaching"} or not all(latest):
        return OK
    if not known:
        return now_is if condition.missing == "ignore" else INSUFFICIENT_DATA
    # Only breaches are known, and too few of them. AWS alarms early if the oldest is old enough.
    age = len(breaching) - list(breaching).index(True)
    return ALARM if condition.missing == "missing" and age >= condition.to_alarm else now_is


def by_period(points: Sequence[dict[str, Any]], period_s: int) -> dict[int, list[dict[str, Any]]]:
    """
    Points by the number of the period that they fall into.

    Args:
        points: Each with ``Timestamp`` (seconds since 1970). CloudWatch keeps those with a ``StorageResolution`` of 60
            by the minute, so that shorter periods find them at its beginning.
        period_s: Length of a period; periods begin at whole multiples of it.

    Returns:
        For each period that has points, counted from 1970, these points.
    """
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for point in points:
        at = float(point["Timestamp"])
        if point.get("StorageResolution") == STANDARD_RESOLUTION_S:
            at -= at % STANDARD_RESOLUTION_S
        found[int(at // period_s)].append(point)
    return found
