"""
The state of a metric alarm, from its values alone: pure, so that a table can test it.

MiniStack 1.5.33 has no such rule (see :mod:`local.aws.patches.cloudwatch.alarms`).

AWS counts breaching periods among the last N and says how missing ones count (CloudWatch user guide, "Using Amazon
CloudWatch alarms", "Configuring how CloudWatch alarms treat missing data"). Here is what the product's alarms need of
it: a threshold, M out of N, missing periods that are breaching or not. Not here: metric math, anomaly detection, values
of periods before the last N, ``ignore``.

It can go with the alarms.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

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
        """True if the comparison is one with a threshold."""
        return self.comparison in _COMPARE

    def judge(self, values: Sequence[float | None], running: float | None) -> str:
        """
        The state that the alarm goes to: OK, ALARM or INSUFFICIENT_DATA.

        Args:
            values: Of the last ``periods`` complete periods, oldest first; None where there are no points.
            running: Of the period that is not over yet. It counts at once if its breach can no longer be undone.
        """
        final = running is not None and self._is_final and self._breaches(running)
        counted = [*values[1:], running] if final else values
        if sum(self._breaches(value) for value in counted) >= self.to_alarm:
            return ALARM
        is_silent = running is None and all(value is None for value in values)
        return INSUFFICIENT_DATA if is_silent and self.missing == "missing" else OK

    @property
    def _is_final(self) -> bool:
        return any(self.comparison.startswith(way) and self.statistic in final for way, final in _FINAL.items())

    def _breaches(self, value: float | None) -> bool:
        if value is None:
            return self.missing == "breaching"
        return _COMPARE[self.comparison](value, self.threshold)
