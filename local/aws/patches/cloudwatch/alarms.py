"""Alarms in real time: every second each one looks at its metric, and tells its topics what it sees."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from local.aws import control, hooks
from local.aws.patches.cloudwatch import alarm_states, service_metrics
from local.aws.patches.cloudwatch.alarm_states import STANDARD_RESOLUTION_S, Condition

if TYPE_CHECKING:
    from local.aws.config import Config

logger = logging.getLogger(__name__)

_EVERY_S = 0.5

_evaluating = threading.RLock()


def install(config: Config) -> None:
    """Replace MiniStack's evaluation, which looks at all dimensions and never at the time."""
    del config
    for name in ("_calc_stats", "_stat_value", "_record_history", "_dispatch_alarm_actions", "_evaluate_parent_alarms"):
        hooks.require(cloudwatch, name)
    hooks.replace(cloudwatch, "_evaluate_alarm", evaluate)
    control.at_reset(service_metrics.forget)
    ended = threading.Event()
    control.at_stop(ended.set)
    threading.Thread(target=_keep_watch, args=(ended,), daemon=True, name="alarms").start()


def _keep_watch(ended: threading.Event) -> None:
    while not ended.wait(_EVERY_S):
        try:
            service_metrics.measure_queues()
        except Exception:
            logger.exception("the queues were not measured")
        for (account, region, _), alarm in cloudwatch._alarms.all_items():
            with request_scope(account, region):
                _look_at(alarm)


def _look_at(alarm: dict[str, Any]) -> None:
    """One alarm that cannot be evaluated holds up no other."""
    try:
        evaluate(alarm)
    except Exception:
        logger.exception("alarm %s was not evaluated", alarm.get("AlarmName"))


def evaluate(alarm: dict[str, Any]) -> None:
    """Bring an alarm into the state that its metric asks for, in the account and region in force."""
    with _evaluating:
        condition = _condition(alarm)
        # Deleted meanwhile, or put anew: that one looks for itself.
        if condition is None or cloudwatch._alarms.get(alarm["AlarmName"]) is not alarm:
            return
        values, running = _values(alarm, condition, time.time())
        before = alarm["StateValue"]
        state = alarm_states.judge(condition, values, running, before)
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
        period_s=int(alarm.get("Period", STANDARD_RESOLUTION_S)),
        periods=periods,
        to_alarm=int(alarm.get("DatapointsToAlarm") or periods),
        missing=alarm.get("TreatMissingData") or "missing",
    )
    return condition if condition.is_known else None


def _values(alarm: dict[str, Any], condition: Condition, now: float) -> tuple[list[float | None], float | None]:
    """The values of the complete periods in the evaluation range, oldest first, and of the running one."""
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    running = int(now // condition.period_s)
    first = running - condition.first_period
    since = first * condition.period_s
    points = [
        point
        for point in list(cloudwatch._metrics.get(key) or ())
        if point["Timestamp"] >= since and alarm.get("Unit") in {None, "", point["Unit"]}
    ]
    found = alarm_states.by_period(points, condition.period_s)

    def value(period: int) -> float | None:
        if period not in found:
            return None
        chosen = found[period]
        measured = cloudwatch._stat_value(cloudwatch._calc_stats(chosen), condition.statistic, chosen)
        return None if measured is None else float(measured)

    return [value(period) for period in range(first, running)], value(running)
