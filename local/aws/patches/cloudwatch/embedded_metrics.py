"""
Metrics inside log lines: CloudWatch's embedded metric format, read from every event that reaches a log group.

MiniStack 1.5.33 stores such lines and finds no metric in them.

AWS makes metrics of them (CloudWatch user guide, "Specification: Embedded metric format").

It can go when a line with an ``_aws`` member put into a log group shows up in ListMetrics.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch, cloudwatch_logs

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

STANDARD_RESOLUTION_S = 60
MOST_VALUES = 100
MOST_DIMENSIONS = 30


class EmbeddedMetricError(ValueError):
    """
    A line claims to hold metrics and CloudWatch would find none in it.

    Args:
        name: The metric or dimension that is wrong.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(f"{name}: {reason}")


@dataclass(frozen=True)
class Datum:
    """
    The values of one metric in one line.

    Args:
        namespace: For example ``meshcert``.
        dimensions: Names and values; with them the metric is a metric of its own.
        unit: For example ``Seconds``.
        values: At least one, at most 100.
        at: Seconds since 1970, UTC.
        resolution_s: 1 or 60 seconds.
    """

    namespace: str
    name: str
    dimensions: dict[str, str]
    unit: str
    values: tuple[float, ...]
    at: float
    resolution_s: int


def install() -> None:
    """Read every event on its way into a stream, and make MiniStack's store of metrics fit for several threads."""
    hooks.wrap(cloudwatch_logs, "_append_log_events", _with_metrics)
    hooks.require(cloudwatch, "_dims_key")
    hooks.replace(cloudwatch, "_metric_bucket", lambda key: cloudwatch._metrics.setdefault(key, []))
    hooks.replace(cloudwatch, "_evict_old_metrics", _evict)


def _extract(line: str) -> list[Datum]:
    """
    The metrics in a log line; none if it is no embedded metric format.

    Raises:
        EmbeddedMetricError: If it names a member that is not there or has the wrong type.
    """
    if '"_aws"' not in line:
        return []
    try:
        root = json.loads(line)
        directives = root["_aws"]["CloudWatchMetrics"]
        at = root["_aws"]["Timestamp"] / 1000
    except (ValueError, KeyError, TypeError):
        return []
    try:
        return [datum for directive in directives for datum in _data(root, directive, at)]
    except (KeyError, TypeError, AttributeError) as error:
        raise EmbeddedMetricError("CloudWatchMetrics", f"a directive is malformed: {error!r}") from error


def _data(root: dict[str, Any], directive: dict[str, Any], at: float) -> Iterator[Datum]:
    for names in directive["Dimensions"]:
        if len(names) > MOST_DIMENSIONS:
            raise EmbeddedMetricError(names[0], f"one of more than {MOST_DIMENSIONS} dimensions")
        dimensions = {name: _dimension(root, name) for name in names}
        for metric in directive["Metrics"]:
            yield Datum(
                namespace=directive["Namespace"],
                name=metric["Name"],
                dimensions=dimensions,
                unit=metric.get("Unit", "None"),
                values=_values(root, metric["Name"]),
                at=at,
                resolution_s=metric.get("StorageResolution", STANDARD_RESOLUTION_S),
            )


def _dimension(root: dict[str, Any], name: str) -> str:
    value = root.get(name)
    if not isinstance(value, str) or not value:
        raise EmbeddedMetricError(name, "a dimension's value is a string at the root")
    return value


def _values(root: dict[str, Any], name: str) -> tuple[float, ...]:
    found = root.get(name)
    values: list[Any] = found if isinstance(found, list) else [found]
    if not 0 < len(values) <= MOST_VALUES:
        raise EmbeddedMetricError(name, f"a metric has 1 to {MOST_VALUES} values")
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        raise EmbeddedMetricError(name, "a metric's value is a number or a list of numbers at the root")
    return tuple(float(value) for value in values)


def _record(datum: Datum) -> None:
    """Put a metric's values where GetMetricData, ListMetrics and alarms look, in the account and region in force."""
    key = (datum.namespace, datum.name, cloudwatch._dims_key(datum.dimensions))
    point = {
        "Timestamp": datum.at,
        "Unit": datum.unit,
        "Dimensions": datum.dimensions,
        "StorageResolution": datum.resolution_s,
    }
    cloudwatch._metric_bucket(key).extend({**point, "Value": value} for value in datum.values)


def _with_metrics(inner: Callable[..., None]) -> Callable[..., None]:
    def append(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        inner(stream, events)
        for event in events:
            try:
                for datum in _extract(event["message"]):
                    _record(datum)
            except EmbeddedMetricError as error:
                logger.warning("embedded metrics refused: %s", error)

    return append


def _evict() -> None:
    """Drop points older than two weeks in place; MiniStack replaces the lists and loses a point added meanwhile."""
    cutoff = cloudwatch.time.time() - cloudwatch.TWO_WEEKS_SECONDS
    for points in cloudwatch._metrics.values():
        while points and points[0]["Timestamp"] < cutoff:
            del points[0]
