"""Metrics: those inside log lines, and those that AWS measures itself."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.local.aws.bundles import new_function

if TYPE_CHECKING:
    from local.running_aws import LocalAws

RIGHTS = [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]
HOUR = timedelta(hours=1)


def embedded(*directives: dict[str, Any], **members: Any) -> str:
    """A line of embedded metric format, of now."""
    return json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives}, **members})


def printing(*lines: str) -> str:
    """Code of a function that prints these lines."""
    return f"def handler(event, context):\n    for line in {list(lines)!r}: print(line)\n"


def statistics(aws: LocalAws, namespace: str, name: str, **dimensions: str) -> dict[str, Any]:
    """All statistics of a metric over this hour."""
    now = datetime.now(UTC)
    points = aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - HOUR,
        EndTime=now + HOUR,
        Period=7200 * 12,
        Statistics=["SampleCount", "Sum", "Minimum", "Maximum"],
    )["Datapoints"]
    return {key: value for key, value in points[0].items() if key != "Timestamp"} if points else {}


def metrics(aws: LocalAws, namespace: str) -> set[tuple[str, tuple[str, ...]]]:
    """Every metric of a namespace: its name and the names of its dimensions."""
    listed = aws.client("cloudwatch").list_metrics(Namespace=namespace)["Metrics"]
    return {(metric["MetricName"], tuple(sorted(d["Name"] for d in metric["Dimensions"]))) for metric in listed}


def test_what_a_function_prints_becomes_metrics(fresh_aws: LocalAws) -> None:
    """One metric for each dimension set; several values count each; members that are no metric stay properties."""
    directive = {
        "Namespace": "meshcert",
        "Dimensions": [["mesh"], ["mesh", "step"]],
        "Metrics": [{"Name": "took", "Unit": "Seconds", "StorageResolution": 1}, {"Name": "failed"}],
    }
    line = embedded(directive, mesh="color", step="export", took=[1, 2, 6], failed=0, identity="teller")
    new_function(fresh_aws, "measured", printing("a plain line", line), RIGHTS)

    fresh_aws.client("lambda").invoke(FunctionName="measured", Payload=b"{}")

    assert metrics(fresh_aws, "meshcert") == {
        ("took", ("mesh",)),
        ("took", ("mesh", "step")),
        ("failed", ("mesh",)),
        ("failed", ("mesh", "step")),
    }
    took = statistics(fresh_aws, "meshcert", "took", mesh="color", step="export")
    assert took == {"SampleCount": 3.0, "Sum": 9.0, "Minimum": 1.0, "Maximum": 6.0, "Unit": "Seconds"}
    assert statistics(fresh_aws, "meshcert", "took", mesh="other") == {}


def test_a_line_may_hold_several_namespaces(fresh_aws: LocalAws) -> None:
    """Each directive stands for itself; also in what a client puts with PutLogEvents."""
    part: dict[str, Any] = {"Dimensions": [[]], "Metrics": [{"Name": "n"}]}
    directives = [{"Namespace": namespace, **part} for namespace in ("one", "two")]
    put(fresh_aws, embedded(*directives, n=3))

    seen = [statistics(fresh_aws, namespace, "n")["Sum"] for namespace in ("one", "two")]

    assert seen == [3.0, 3.0]


def test_a_bad_line_gives_no_metric_and_breaks_nothing(fresh_aws: LocalAws) -> None:
    """A dimension that is a number, a metric that is missing, text that only looks like the format."""
    directive = {"Namespace": "bad", "Dimensions": [["mesh"]], "Metrics": [{"Name": "n"}]}
    good = embedded({"Namespace": "good", "Dimensions": [["mesh"]], "Metrics": [{"Name": "n"}]}, mesh="color", n=1)
    put(
        fresh_aws,
        embedded(directive, mesh=1, n=1),
        embedded(directive, mesh="color"),
        embedded(directive, mesh="color", n="1"),
        embedded({"Namespace": "bad"}, n=1),
        embedded({"Namespace": "bad", "Dimensions": 3, "Metrics": []}),
        '{"_aws": 3}',
        '"_aws"',
        good,
    )

    assert metrics(fresh_aws, "bad") == set()
    assert metrics(fresh_aws, "good") == {("n", ("mesh",))}


def test_get_metric_data_shows_embedded_metrics(fresh_aws: LocalAws) -> None:
    """What a dashboard asks."""
    directive = {"Namespace": "meshcert", "Dimensions": [["mesh"]], "Metrics": [{"Name": "n"}]}
    put(fresh_aws, embedded(directive, mesh="color", n=4), embedded(directive, mesh="color", n=5))
    metric = {"Namespace": "meshcert", "MetricName": "n", "Dimensions": [{"Name": "mesh", "Value": "color"}]}
    query = {"Id": "q", "MetricStat": {"Metric": metric, "Period": 86400, "Stat": "Sum"}}
    now = datetime.now(UTC)

    found = fresh_aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query], StartTime=now - HOUR, EndTime=now + HOUR
    )

    assert sum(found["MetricDataResults"][0]["Values"]) == 9.0


def put(aws: LocalAws, *lines: str) -> None:
    """Lines in a stream of their own."""
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(logGroupName="group", logStreamName="stream")
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=events)
