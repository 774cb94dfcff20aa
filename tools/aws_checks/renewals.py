"""How a renewal reaches us: the rule, what it has matched so far, the function, and the queues for what failed."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.errors import IdentityMissing
from tools.aws_checks.certificates import renewed
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.aws_checks.deployment import Deployment

PATTERN = {"source": ["aws.acm"], "detail-type": ["ACM Certificate Available"], "detail": {"Action": ["RENEWAL"]}}
KEPT = dt.timedelta(days=455)
"""How long CloudWatch keeps hourly figures: fifteen months."""
_DAY_S = 86400
_METRICS_TAKE = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class RuleSeen:
    """
    The rule that hears of renewals.

    Args:
        rule: Answer of events:DescribeRule.
        targets: ``Targets`` of events:ListTargetsByRule.
        function: ARN of the export function.
        policy: The function's resource policy, JSON.
    """

    rule: Mapping[str, Any]
    targets: Sequence[Mapping[str, Any]]
    function: str
    policy: str


@dataclass(frozen=True)
class MetricsSeen:
    """
    What became of renewals in the last fifteen months.

    Args:
        matched: Events the rule matched.
        failed: Invocations that EventBridge gave up.
        renewed: Identities whose certificate ACM says it has renewed since the rule is there.
    """

    matched: int
    failed: int
    renewed: Sequence[str]


def _rules(deployment: Deployment) -> Iterable[str]:
    return deployment.resources("identities", "AWS::Events::Rule")


def _rule(deployment: Deployment, logical_id: str) -> RuleSeen:
    name = deployment.resources("identities", "AWS::Events::Rule")[logical_id]["PhysicalResourceId"]
    function = naming.function(deployment.name, "export")
    return RuleSeen(
        rule=deployment.account.read("events:DescribeRule", Name=name),
        targets=deployment.account.read("events:ListTargetsByRule", Rule=name)["Targets"],
        function=deployment.arn("lambda", f"function:{function}"),
        policy=deployment.account.read("lambda:GetPolicy", FunctionName=function)["Policy"],
    )


def _metrics(deployment: Deployment, logical_id: str) -> MetricsSeen:
    rule = deployment.resources("identities", "AWS::Events::Rule")[logical_id]
    counts = [
        deployment.account.read(
            "cloudwatch:GetMetricStatistics",
            Namespace="AWS/Events",
            MetricName=metric,
            Dimensions=[{"Name": "RuleName", "Value": rule["PhysicalResourceId"]}],
            StartTime=deployment.now - KEPT,
            EndTime=deployment.now,
            Period=_DAY_S,
            Statistics=["Sum"],
        )["Datapoints"]
        for metric in ("MatchedEvents", "FailedInvocations")
    ]
    matched, failed = (int(sum(point["Sum"] for point in points)) for points in counts)
    # A new rule starts to count anew; figures take some minutes to arrive.
    changed = rule["LastUpdatedTimestamp"]
    return MetricsSeen(matched, failed, renewed(deployment, changed, deployment.now - _METRICS_TAKE))


def _queues(deployment: Deployment) -> Iterable[str]:
    return deployment.resources("identities", "AWS::SQS::Queue")


def _waiting(deployment: Deployment, logical_id: str) -> int:
    url = deployment.resources("identities", "AWS::SQS::Queue")[logical_id]["PhysicalResourceId"]
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    answer = deployment.account.read("sqs:GetQueueAttributes", QueueUrl=url, AttributeNames=list(counts))
    return sum(int(answer["Attributes"][count]) for count in counts)


def _functions(_deployment: Deployment) -> Iterable[str]:
    return ["export"]


def _function(deployment: Deployment, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    function = naming.function(deployment.name, name)
    configuration = deployment.account.read("lambda:GetFunctionConfiguration", FunctionName=function)
    for declared in deployment.declared("identities", "AWS::Lambda::Function").values():
        if declared.get("FunctionName") == function:
            return declared, configuration
    raise IdentityMissing(f"{function} in stack {deployment.stack('identities')}", "Deploy it")


def _expiry_warning(deployment: Deployment, _subject: str) -> int | None:
    answer = deployment.account.read("acm:GetAccountConfiguration")
    days: int | None = answer.get("ExpiryEvents", {}).get("DaysBeforeExpiry")
    return days


def judge_rule(seen: RuleSeen) -> Judgement:
    """Enabled, with our pattern, retries and a queue for what fails, and the function lets it in."""
    target = next((each for each in seen.targets if each["Arn"] == seen.function), None)
    faults = [] if seen.rule["State"] == "ENABLED" else [f"it is {seen.rule['State']}"]
    if json.loads(seen.rule["EventPattern"]) != PATTERN:
        faults.append(f"its pattern is {seen.rule['EventPattern']}")
    if target is None:
        faults.append("it does not invoke the export function")
    elif "DeadLetterConfig" not in target or not target.get("RetryPolicy", {}).get("MaximumRetryAttempts"):
        faults.append("what fails is neither tried again nor kept")
    if not any(_admits(statement, seen.rule["Arn"]) for statement in json.loads(seen.policy)["Statement"]):
        faults.append("the function does not let it in")
    if faults:
        return contradicted("; ".join(faults), "No renewal would be exported: deploy the identities stack again")
    retries = target["RetryPolicy"]["MaximumRetryAttempts"] if target else 0
    return confirmed(f"enabled, invokes the export function, {retries} retries, dead-letter queue")


def judge_metrics(seen: MetricsSeen) -> Judgement:
    """Nothing before the first renewal; after it, as many matches as there must be."""
    text = f"{seen.matched} matched, {seen.failed} failed in 15 months"
    if seen.failed:
        return contradicted(text, "See dead-letters and the export function's log")
    if seen.matched:
        return confirmed(text)
    if seen.renewed:
        return contradicted(
            f"{text}, although ACM has renewed {', '.join(seen.renewed)}",
            "The events do not look as we think, or were lost: deploy again to export now, and please report it",
        )
    return undecided(f"{text}: ACM has renewed nothing yet", "Run this again after the first renewal")


def judge_waiting(waiting: int) -> Judgement:
    """Nothing that failed is waiting for a person."""
    if waiting == 0:
        return confirmed("empty")
    return contradicted(
        f"{waiting} waiting", "Read one without deleting it: it says which call failed. Then deploy again"
    )


def judge_function(seen: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Judgement:
    """The runtime and processor of the template, and ready to run."""
    declared, found = seen
    architectures = declared.get("Architectures", ["x86_64"])
    states = (found.get("State", "Active"), found.get("LastUpdateStatus", "Successful"))
    text = f"{found['Runtime']} on {', '.join(found['Architectures'])}, {', '.join(states)}"
    if (found["Runtime"], found["Architectures"]) != (declared["Runtime"], architectures):
        return contradicted(
            f"{text}; the template says {declared['Runtime']} on {', '.join(architectures)}",
            "Its wheels would not load: deploy the identities stack again",
        )
    # Lambda puts a function that is not called for weeks to sleep; the next call wakes it.
    if states[0] in {"Active", "Inactive"} and states[1] == "Successful":
        return confirmed(text)
    return contradicted(text, str(found.get("StateReason") or found.get("LastUpdateStatusReason") or "Deploy again"))


def judge_expiry_warning(days: int | None) -> Judgement:
    """``DaysBeforeExpiry`` of the account."""
    if days is None:
        return undecided("GetAccountConfiguration names no number of days")
    text = f"{days} days before expiry"
    if days < 60:  # noqa: PLR2004 -- ACM renews private certificates itself from 60 days on (ACM guide)
        return confirmed(text)
    return contradicted(text, "The event would come before ACM's own renewal: an alarm on it would be a false one")


def _admits(statement: Mapping[str, Any], rule: str) -> bool:
    """Whether a statement of the function's policy lets EventBridge invoke it for this rule."""
    conditions = statement.get("Condition", {}).values()
    # AWS writes the key in capitals of its own.
    sources = [value for condition in conditions for key, value in condition.items() if key.lower() == "aws:sourcearn"]
    principal = {"Service": "events.amazonaws.com"}
    return statement["Effect"] == "Allow" and statement.get("Principal") == principal and rule in sources


CHECKS: tuple[Check[Any], ...] = (
    Check("renewal-rule", "A rule on ACM's renewals invokes the export function", _rules, _rule, judge_rule),
    Check("renewal-events", "ACM's renewals match the rule, and no invocation fails", _rules, _metrics, judge_metrics),
    Check(
        "expiry-warning",
        "ACM warns of expiry only after its own renewal is due (60 days)",
        lambda deployment: [deployment.account_id],
        _expiry_warning,
        judge_expiry_warning,
    ),
    Check("dead-letters", "Nothing that failed is waiting", _queues, _waiting, judge_waiting),
    Check("function", "The function has the template's runtime and processor", _functions, _function, judge_function),
)
