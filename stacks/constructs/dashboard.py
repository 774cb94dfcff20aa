"""One dashboard, laid out like the diagram of the lifecycle: from what triggers a look down to what proxies serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from meshcert import naming
from meshcert.lifecycle.deciding.findings import Kind
from stacks.constructs.refused_peers import DIMENSIONS, METRIC
from stacks.runbook import FUNCTIONS, LIFETIMES, NAMESPACE, QUEUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aws_cdk import aws_events as events

FULL, HALF, THIRD = 24, 12, 8
HEIGHT = 6
PERIOD = Duration.minutes(5)

HEADINGS = {
    "state": "# {mesh}: issued → published → served\nHow much of a lifetime is gone, the oldest certificate counting. "
    "ACM renews at 84.8 %, meshcert itself at 88 %; nothing may reach 100.",
    "triggers": "## 1. What makes us look\nevents of aws.acm, aws.health, aws.ecs · Scheduler: tick, sweep · "
    "`meshcert renew`, `rollback`",
    "queues": "## 2. ↓ the queues\nlooks and orders → renewal function · dispatch → dispatch function → looks",
    "renewal": "## 3. ↓ renewal function: observe, plan, take a step\nAudit: log group `{audit}`",
    "export": "## 4. ↓ export function: the only one that takes a private key out of ACM",
    "findings": "## 5. What a person should know\nEach is an alarm with its line of the runbook; "
    "`meshcert plan` names the identity",
}


class LifecycleDashboard(Construct):
    """
    The dashboard.

    Args:
        rules: The EventBridge rules, by name.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        rules: Mapping[str, events.Rule],
        alarms: Sequence[cloudwatch.IAlarm],
    ) -> None:
        super().__init__(scope, construct_id)
        self._mesh = mesh
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=naming.dashboard(mesh, Aws.REGION),
            widgets=[
                [self._heading("state")],
                [self._lifetimes(), cloudwatch.AlarmStatusWidget(alarms=alarms, width=HALF, height=HEIGHT)],
                [self._heading("triggers")],
                [
                    self._graph("Events that rules matched", self._matched(rules), THIRD),
                    self._graph("Ticks and sweeps", self._counts("Ticks", "Sweeps"), THIRD),
                    self._graph("Orders", [self._of_queue("orders", "NumberOfMessagesSent", "Sum")], THIRD),
                ],
                [self._heading("queues")],
                [
                    self._graph("Messages waiting", self._of_queues("ApproximateNumberOfMessagesVisible"), THIRD),
                    self._graph("Oldest message, seconds", self._of_queues("ApproximateAgeOfOldestMessage"), THIRD),
                    self._graph("Dead letters", self._dead_letters(), THIRD),
                ],
                [self._heading("renewal")],
                [
                    self._graph(
                        "Looks", [*self._counts("Looks", "Unsettled"), self._ours("SecondsSinceLook", "Maximum")], THIRD
                    ),
                    self._graph(
                        "Steps taken",
                        self._counts(
                            "Renewals", "Exports", "Redeployments", "RollBacks", "Proven", "Revocations", "StepsFailed"
                        ),
                        THIRD,
                    ),
                    self._graph("Errors of the functions", self._errors(), THIRD),
                ],
                [self._heading("export")],
                [
                    self._graph(
                        "Publications",
                        self._counts("Published", "AlreadyCurrent", "Withheld", "Rejected", "Refused", "NotReady"),
                        FULL,
                    )
                ],
                [self._heading("findings")],
                [
                    self._graph("Findings of looks", self._counts(*(kind.value for kind in Kind)), HALF),
                    self._graph("Peers that proxies refused, by service and cause", [self._refused_peers()], HALF),
                ],
            ],
        )

    def _heading(self, part: str) -> cloudwatch.IWidget:
        text = HEADINGS[part].format(mesh=self._mesh, audit=naming.log_group(self._mesh, naming.AUDIT))
        return cloudwatch.TextWidget(markdown=text, width=FULL, height=2)

    def _lifetimes(self) -> cloudwatch.IWidget:
        return cloudwatch.GraphWidget(
            title="Lifetime gone, percent",
            left=[self._ours(f"{what}LifetimeGone", "Maximum") for what in LIFETIMES],
            left_annotations=[
                cloudwatch.HorizontalAnnotation(value=percent, label=f"{percent} %")
                for percent in sorted({each for percents, _, _ in LIFETIMES.values() for each in percents} | {100})
            ],
            period=Duration.hours(1),
            width=HALF,
            height=HEIGHT,
        )

    def _graph(self, title: str, metrics: Iterable[cloudwatch.IMetric], width: int) -> cloudwatch.IWidget:
        return cloudwatch.GraphWidget(title=title, left=list(metrics), period=PERIOD, width=width, height=HEIGHT)

    def _counts(self, *names: str) -> list[cloudwatch.IMetric]:
        return [self._ours(name, "Sum") for name in names]

    def _ours(self, name: str, statistic: str) -> cloudwatch.IMetric:
        return cloudwatch.Metric(
            namespace=NAMESPACE, metric_name=name, dimensions_map={"mesh": self._mesh}, statistic=statistic, label=name
        )

    def _matched(self, rules: Mapping[str, events.Rule]) -> list[cloudwatch.IMetric]:
        return [
            cloudwatch.Metric(
                namespace="AWS/Events",
                metric_name="MatchedEvents",
                dimensions_map={"RuleName": rule.rule_name},
                statistic="Sum",
                label=name,
            )
            for name, rule in rules.items()
        ]

    def _refused_peers(self) -> cloudwatch.IMetric:
        """Refused peers of every service and cause, found by search: a cause has a metric only once it has occurred."""
        dimensions = ",".join((NAMESPACE, *DIMENSIONS))
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{{{dimensions}}} MetricName=\"{METRIC}\" mesh=\"{self._mesh}\"', 'Sum', 300)",
            label="${PROP('Dim.service')}: ${PROP('Dim.cause')}",
        )

    def _of_queue(self, queue: str, metric: str, statistic: str) -> cloudwatch.IMetric:
        return cloudwatch.Metric(
            namespace="AWS/SQS",
            metric_name=metric,
            dimensions_map={"QueueName": naming.queue(self._mesh, queue)},
            statistic=statistic,
            label=queue,
        )

    def _of_queues(self, metric: str) -> list[cloudwatch.IMetric]:
        return [self._of_queue(queue, metric, "Maximum") for queue in QUEUES]

    def _dead_letters(self) -> list[cloudwatch.IMetric]:
        queues = [f"{name}-dead-letters" for name in (*QUEUES, "deploy")] + ["undelivered"]
        return [self._of_queue(queue, "ApproximateNumberOfMessagesVisible", "Maximum") for queue in queues]

    def _errors(self) -> list[cloudwatch.IMetric]:
        return [
            cloudwatch.Metric(
                namespace="AWS/Lambda",
                metric_name="Errors",
                dimensions_map={"FunctionName": naming.function(self._mesh, name)},
                statistic="Sum",
                label=name,
            )
            for name in FUNCTIONS
        ]
