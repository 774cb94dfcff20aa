"""Metric filters: log lines that count."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.local.aws.patches.test_metrics import metrics, statistics
from tests.local.aws.stacks import deploy

if TYPE_CHECKING:
    from local.lab import LocalAws

GROUP = "/meshcert/color/colorteller"
REFUSED = {"event": "connection-refused", "mesh": "color", "cause": "expired"}


def count_refused(aws: LocalAws, **changes: Any) -> None:
    """A log group whose refused connections are counted by cause."""
    logs = aws.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    transformation = {
        "metricNamespace": "meshcert",
        "metricName": "PeersRefused",
        "metricValue": "1",
        "unit": "Count",
        "dimensions": {"mesh": "$.mesh", "cause": "$.cause"},
    }
    logs.put_metric_filter(
        logGroupName=GROUP,
        filterName="refused",
        filterPattern='{ $.event = "connection-refused" }',
        metricTransformations=[transformation | changes],
    )


def write(aws: LocalAws, *lines: str) -> None:
    """Lines into that group."""
    logs = aws.client("logs")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="envoy")
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName=GROUP, logStreamName="envoy", logEvents=events)


def test_matching_lines_add_to_the_metric_of_their_dimensions(fresh_aws: LocalAws) -> None:
    """One metric for each cause that has occurred; other lines and other groups add nothing."""
    count_refused(fresh_aws)
    write(
        fresh_aws,
        json.dumps(REFUSED),
        json.dumps(REFUSED),
        json.dumps(REFUSED | {"cause": "wrong-name"}),
        json.dumps(REFUSED | {"event": "another"}),
        "connection-refused",
    )

    expired = statistics(fresh_aws, "meshcert", "PeersRefused", mesh="color", cause="expired")
    wrong_name = statistics(fresh_aws, "meshcert", "PeersRefused", mesh="color", cause="wrong-name")

    assert (expired["Sum"], expired["Unit"], wrong_name["Sum"]) == (2.0, "Count", 1.0)
    assert statistics(fresh_aws, "meshcert", "PeersRefused", mesh="color", cause="revoked") == {}


def test_a_filter_without_dimensions_counts_in_one_metric(fresh_aws: LocalAws) -> None:
    """And a line that lacks a property is counted there."""
    count_refused(fresh_aws, dimensions={})
    write(fresh_aws, json.dumps(REFUSED), json.dumps({"event": "connection-refused"}))

    assert statistics(fresh_aws, "meshcert", "PeersRefused")["Sum"] == 2.0


def test_a_line_without_the_property_of_a_dimension_adds_nothing(fresh_aws: LocalAws) -> None:
    """It breaks nothing either: the line is stored."""
    count_refused(fresh_aws)
    write(fresh_aws, json.dumps({"event": "connection-refused", "mesh": "color"}))

    assert metrics(fresh_aws, "meshcert") == set()
    assert len(fresh_aws.client("logs").filter_log_events(logGroupName=GROUP)["events"]) == 1


def test_a_stack_makes_a_filter(fresh_aws: LocalAws) -> None:
    """As the CDK writes it: dimensions as a list of keys and values."""
    transformation = {
        "MetricNamespace": "meshcert",
        "MetricName": "PeersRefused",
        "MetricValue": "1",
        "Unit": "Count",
        "Dimensions": [{"Key": "mesh", "Value": "$.mesh"}, {"Key": "cause", "Value": "$.cause"}],
    }
    resources = {
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": GROUP}},
        "Filter": {
            "Type": "AWS::Logs::MetricFilter",
            "Properties": {
                "LogGroupName": {"Ref": "Logs"},
                "FilterPattern": '{ ($.event = "connection-refused") || ($.event = "backend-refused") }',
                "MetricTransformations": [transformation],
            },
        },
    }
    assert deploy(fresh_aws, "services", resources) == "CREATE_COMPLETE"

    write(fresh_aws, json.dumps(REFUSED), json.dumps(REFUSED | {"event": "backend-refused"}))

    assert statistics(fresh_aws, "meshcert", "PeersRefused", mesh="color", cause="expired")["Sum"] == 2.0
