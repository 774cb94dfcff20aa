"""
Alarms in real time: twice a second each one looks at its metric.

MiniStack 1.5.33 evaluates an alarm when a metric is put, over the points of all dimensions together, and never again.

AWS evaluates each alarm on its own metric all the time, and treats missing periods as the alarm says (CloudWatch user
guide, "Using Amazon CloudWatch alarms").

It can go when an alarm on one dimension stays OK while another's metric breaches, and calms down by itself.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from local.aws import control, hooks
from local.aws.patches.cloudwatch.alarm_state import Condition

logger = logging.getLogger(__name__)

_EVERY_S = 0.5
_STANDARD_PERIOD_S = 60

_evaluating = threading.RLock()


def install() -> None:
    """Replace MiniStack's evaluation."""
    for name in ("_calc_stats", "_stat_value", "_record_history", "_dispatch_alarm_actions", "_evaluate_parent_alarms"):
        hooks.require(cloudwatch, name)
    hooks.replace(cloudwatch, "_evaluate_alarm", _evaluate)
    ended = threading.Event()
    control.at_stop(ended.set)
    threading.Thread(target=_keep_watch, args=(ended,), daemon=True, name="alarms").start()


def _keep_watch(ended: threading.Event) -> None:
    while not ended.wait(_EVERY_S):
        for (account, region, name), alarm in cloudwatch._alarms.all_items():
            with request_scope(account, region):
                try:
                    _evaluate(alarm)
                except Exception:
                    # One alarm that cannot be evaluated holds up no other.
                    logger.exception("alarm %s was not evaluated", name)


def _evaluate(alarm: dict[str, Any]) -> None:
    """Bring an alarm into the state that its metric asks for, in the account and region in force."""
    with _evaluating:
        condition = _condition(alarm)
        # Deleted meanwhile, or put anew: that one looks for itself.
        if condition is None or cloudwatch._alarms.get(alarm["AlarmName"]) is not alarm:
            return
        values, running = _values(alarm, condition, time.time())
        before = alarm["StateValue"]
        state = condition.judge(values, running)
        if state == before:
            return
        shown = [value for value in (*values, running) if value is not None]
        reason = f"Threshold Crossed: {condition.statistic} of {len(shown)} periods {shown} made it {state}"
        if not shown:
            reason = f"Insufficient Data: {condition.periods} datapoints were unknown."
        alarm.update(
            StateValue=state,
            StateReason=f"{reason} ({condition.comparison} {condition.threshold})",
            StateReasonData=json.dumps({"statistic": condition.statistic, "recentDatapoints": shown}),
            StateUpdatedTimestamp=int(time.time()),
        )
        cloudwatch._record_history(alarm["AlarmName"], before, state, alarm["StateReason"])
        cloudwatch._dispatch_alarm_actions(alarm, before, state, alarm["StateReason"])
        cloudwatch._evaluate_parent_alarms(alarm)


def _condition(alarm: dict[str, Any]) -> Condition | None:
    """None for what is not evaluated here: metric math and anomaly detection."""
    if not alarm.get("MetricName"):
        return None
    periods = int(alarm.get("EvaluationPeriods", 1))
    condition = Condition(
        comparison=str(alarm.get("ComparisonOperator")),
        threshold=float(alarm.get("Threshold") or 0),
        statistic=alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average",
        period_s=int(alarm.get("Period", _STANDARD_PERIOD_S)),
        periods=periods,
        to_alarm=int(alarm.get("DatapointsToAlarm") or periods),
        missing=alarm.get("TreatMissingData") or "missing",
    )
    return condition if condition.is_known else None


def _values(alarm: dict[str, Any], condition: Condition, now: float) -> tuple[list[float | None], float | None]:
    """The values of the last complete periods, oldest first, and of the running one."""
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    points: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for point in list(cloudwatch._metrics.get(key) or ()):
        if alarm.get("Unit") in {None, "", point["Unit"]}:
            points[int(float(point["Timestamp"]) // condition.period_s)].append(point)

    def value(period: int) -> float | None:
        chosen = points.get(period)
        if not chosen:
            return None
        measured = cloudwatch._stat_value(cloudwatch._calc_stats(chosen), condition.statistic, chosen)
        return None if measured is None else float(measured)

    running = int(now // condition.period_s)
    return [value(period) for period in range(running - condition.periods, running)], value(running)
