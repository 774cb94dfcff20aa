"""A CloudWatch metric of the peers that a service's Envoy refused, by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs

from meshcert.envoy.access_log import BACKEND_REFUSED_EVENT, REFUSED_EVENT, REQUEST_REFUSED_EVENT
from stacks.runbook import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constructs import Construct

    from meshcert.proxy import Listener

METRIC = "PeersRefused"
DIMENSIONS = ("mesh", "service", "cause")
"""The fields of the line that become dimensions: three at most, and each value that occurs costs money."""


def count_refused_peers(
    scope: Construct, log_group: logs.ILogGroup, listeners: Iterable[Listener], *, mesh: str = ""
) -> None:
    """
    Count the log lines about refused peers, clients and backends alike.

    A metric exists only for causes that have occurred, and costs money only in hours in which they occur. The causes
    are a closed set (:mod:`meshcert.envoy.causes`), whatever a peer writes into its certificate. All of them share one
    filter, because a stack may have no more than 500 resources; the lines say of which service they are.

    Args:
        log_group: Gets the lines of the containers.
        listeners: Those of all proxies that write there. One with allow rules refuses single requests as well.
        mesh: Whose lines count, where other meshes may write, too: each has a filter. Left out: all.
    """
    events = [REFUSED_EVENT, BACKEND_REFUSED_EVENT]
    if any(listener.allow for listener in listeners):
        events.append(REQUEST_REFUSED_EVENT)
    pattern = logs.FilterPattern.any(*(logs.FilterPattern.string_value("$.event", "=", event) for event in events))
    if mesh:
        pattern = logs.FilterPattern.all(logs.FilterPattern.string_value("$.mesh", "=", mesh), pattern)
    logs.MetricFilter(
        scope,
        METRIC,
        log_group=log_group,
        filter_pattern=pattern,
        metric_namespace=NAMESPACE,
        metric_name=METRIC,
        metric_value="1",
        unit=cloudwatch.Unit.COUNT,
        dimensions={name: f"$.{name}" for name in DIMENSIONS},
    )
