"""What AWS itself measures: AWS/Lambda of every invocation, AWS/SQS of every queue."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, lambda_svc, sqs

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config

_UNCHANGED_S = 5.0
_KEPT = 2000

_latest: dict[tuple[str, str, str, str], tuple[float, float]] = {}


def install(config: Config) -> None:
    """Measure invocations where their logs are written: the one place that every way to invoke goes through."""
    del config
    hooks.require(cloudwatch, "record_metric")
    hooks.require(sqs, "_queues")
    hooks.wrap(lambda_svc, "_emit_lambda_logs", _measure_invocation)
    hooks.replace(lambda_svc, "_emit_lambda_metrics", _measure_throttle)


def _measure_invocation(inner: Callable[..., None]) -> Callable[..., None]:
    def emit(
        function: dict[str, Any],
        request_id: str,
        text: str,
        error: bool,  # noqa: FBT001 - MiniStack's own signature
        duration_ms: int,
        **more: Any,
    ) -> None:
        inner(function, request_id, text, error, duration_ms, **more)
        dimensions = {"FunctionName": (function.get("config") or function).get("FunctionName", "")}
        cloudwatch.record_metric("AWS/Lambda", "Invocations", 1, "Count", dimensions)
        cloudwatch.record_metric("AWS/Lambda", "Errors", int(error), "Count", dimensions)
        cloudwatch.record_metric("AWS/Lambda", "Duration", duration_ms, "Milliseconds", dimensions)

    return emit


def _measure_throttle(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:  # noqa: FBT001 - MiniStack's own signature
    """A throttled invocation is neither an invocation nor an error. Synchronous ones are told twice, once timed."""
    del error
    if throttle and not duration_ms:
        cloudwatch.record_metric("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": function_name})


def measure_queues() -> None:
    """Record the depth and age of every queue of every account: when they change, and every five seconds."""
    now = time.time()
    for (account, region, _), queue in sqs._queues.all_items():
        name = queue["attributes"]["QueueArn"].rsplit(":", 1)[-1]
        with request_scope(account, region):
            for metric, (value, unit) in _measures(list(queue["messages"]), now).items():
                _record_gauge((account, region, name, metric), value, unit, now)


def forget() -> None:
    """Start anew after a reset."""
    _latest.clear()


def _measures(messages: list[dict[str, Any]], now: float) -> dict[str, tuple[float, str]]:
    visible = sum(message["visible_at"] <= now for message in messages)
    in_flight = sum(message["visible_at"] > now and message["receive_count"] > 0 for message in messages)
    # A message is as old as its first sending, also in a dead-letter queue and while it is in flight.
    age = now - min((message.get("enqueued_at", message["sent_at"]) for message in messages), default=now)
    return {
        "ApproximateNumberOfMessagesVisible": (visible, "Count"),
        "ApproximateNumberOfMessagesNotVisible": (in_flight, "Count"),
        "ApproximateNumberOfMessagesDelayed": (len(messages) - visible - in_flight, "Count"),
        "ApproximateAgeOfOldestMessage": (float(int(max(age, 0.0))), "Seconds"),
    }


def _record_gauge(place: tuple[str, str, str, str], value: float, unit: str, now: float) -> None:
    before, at = _latest.get(place, (None, 0.0))
    if value == before and now - at < _UNCHANGED_S:
        return
    _latest[place] = (value, now)
    *_, name, metric = place
    dimensions = {"QueueName": name}
    cloudwatch.record_metric("AWS/SQS", metric, value, unit, dimensions)
    del cloudwatch._metric_bucket(("AWS/SQS", metric, cloudwatch._dims_key(dimensions)))[:-_KEPT]
