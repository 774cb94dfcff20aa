"""
Metric filters of CloudWatch Logs: a matching line adds to a metric.

Source: "Creating metrics from log events using filters", CloudWatch Logs user guide. Not here: values that are read out
of the line, and default values for minutes without a match. A line that lacks a dimension's property adds nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch_logs

from local.aws import hooks
from local.aws.patches.cloudwatch.alarm_states import STANDARD_RESOLUTION_S
from local.aws.patches.cloudwatch.embedded_metrics import Datum, record
from local.aws.patches.log_patterns import compile_pattern, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.aws.config import Config


def install(config: Config) -> None:
    """Look at every event where it is handed to subscription filters: functions' and containers' lines pass there."""
    del config
    hooks.require(cloudwatch_logs, "_metric_filters")
    hooks.wrap(cloudwatch_logs, "_fanout_to_subscription_filters", _with_metrics)


def count(line: str, at: float, metric_filter: dict[str, Any]) -> Iterator[Datum]:
    """
    What one line adds to the metrics of a filter.

    Args:
        line: The log line.
        at: Its time, seconds since 1970, UTC.
        metric_filter: As PutMetricFilter took it.
    """
    if not compile_pattern(metric_filter["filterPattern"])(line):
        return
    for transformation in metric_filter["metricTransformations"]:
        dimensions = _dimensions(line, transformation.get("dimensions", {}))
        if dimensions is not None:
            yield Datum(
                namespace=transformation["metricNamespace"],
                name=transformation["metricName"],
                dimensions=dimensions,
                unit=transformation.get("unit", "None"),
                values=(float(transformation["metricValue"]),),
                at=at,
                resolution_s=STANDARD_RESOLUTION_S,
            )


def _dimensions(line: str, selectors: dict[str, str]) -> dict[str, str] | None:
    try:
        event = json.loads(line)
    except ValueError:  # matched by its words
        event = {}
    values = {name: select(event, selector) for name, selector in selectors.items()}
    return values if all(isinstance(value, str) for value in values.values()) else None


def _with_metrics(inner: Callable[..., None]) -> Callable[..., None]:
    def fan_out(group: str, stream: str, events: list[dict[str, Any]]) -> None:
        inner(group, stream, events)
        for (of_group, _), metric_filter in list(cloudwatch_logs._metric_filters.items()):
            if of_group == group:
                for event in events:
                    for datum in count(event["message"], event["timestamp"] / 1000, metric_filter):
                        record(datum)

    return fan_out
