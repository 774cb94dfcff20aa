"""Checks of what makes the lifecycle run: rules, schedules, queues and functions, and their results so far."""

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

KEPT = dt.timedelta(days=455)
"""How long CloudWatch keeps hourly figures: fifteen months."""
FUNCTIONS = {"export": "identities", "deploy": "identities", "renewal": "renewal", "dispatch": "renewal"}
"""The stack of each function."""
_DAY_S = 86400
_METRICS_TAKE = dt.timedelta(minutes=15)
_RULE = "AWS::Events::Rule"
_QUEUE = "AWS::SQS::Queue"
_SCHEDULE = "AWS::Scheduler::Schedule"
_MAPPING = "AWS::Lambda::EventSourceMapping"
_DEPLOY = "deploy the renewal stack again"


@dataclass(frozen=True)
class RuleSeen:
    """
    A rule and the queue it sends to.

    Args:
        rule: Answer of events:DescribeRule.
        targets: ``Targets`` of events:ListTargetsByRule.
        pattern: Its event pattern in the deployed template.
        queue: ARN of the looks queue.
        policy: The queue's resource policy, JSON; empty if it has none.
    """

    rule: Mapping[str, Any]
    targets: Sequence[Mapping[str, Any]]
    pattern: Mapping[str, Any]
    queue: str
    policy: str


@dataclass(frozen=True)
class MetricsSeen:
    """
    The numbers of a rule's events in the last fifteen months.

    Args:
        matched: Events the rule matched.
        failed: Deliveries that EventBridge has given up.
        renewed: Identities whose certificate ACM has renewed since the rule last changed; empty if the rule does not
            match renewals.
    """

    matched: int
    failed: int
    renewed: Sequence[str]


def _rules(deployment: Deployment) -> Iterable[str]:
    return deployment.resources("renewal", _RULE)


def _rule(deployment: Deployment, logical_id: str) -> RuleSeen:
    name = deployment.resources("renewal", _RULE)[logical_id]["PhysicalResourceId"]
    queue = naming.queue(deployment.name, "looks")
    url = next(
        each["PhysicalResourceId"]
        for each in deployment.resources("renewal", _QUEUE).values()
        if each["PhysicalResourceId"].endswith(f"/{queue}")
    )
    attributes = deployment.account.read("sqs:GetQueueAttributes", QueueUrl=url, AttributeNames=["Policy"])
    return RuleSeen(
        rule=deployment.account.read("events:DescribeRule", Name=name),
        targets=deployment.account.read("events:ListTargetsByRule", Rule=name)["Targets"],
        pattern=deployment.declared("renewal", _RULE)[logical_id]["EventPattern"],
        queue=deployment.arn("sqs", queue),
        policy=attributes.get("Attributes", {}).get("Policy", ""),
    )


def _metrics(deployment: Deployment, logical_id: str) -> MetricsSeen:
    rule = deployment.resources("renewal", _RULE)[logical_id]
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
    if deployment.declared("renewal", _RULE)[logical_id]["EventPattern"]["source"] != ["aws.acm"]:
        return MetricsSeen(matched, failed, [])
    # A new rule starts counting from zero, and figures arrive some minutes late.
    changed = rule["LastUpdatedTimestamp"]
    return MetricsSeen(matched, failed, renewed(deployment, changed, deployment.now - _METRICS_TAKE))


def _schedules(deployment: Deployment) -> Iterable[str]:
    return deployment.resources("renewal", _SCHEDULE)


def _schedule(deployment: Deployment, logical_id: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    declared = deployment.declared("renewal", _SCHEDULE)[logical_id]
    return declared, deployment.account.read("scheduler:GetSchedule", Name=declared["Name"])


def _mappings(deployment: Deployment) -> Iterable[str]:
    return deployment.resources("renewal", _MAPPING)


def _mapping(deployment: Deployment, logical_id: str) -> Mapping[str, Any]:
    identifier = deployment.resources("renewal", _MAPPING)[logical_id]["PhysicalResourceId"]
    for name, stack in FUNCTIONS.items():
        if stack != "renewal":
            continue
        answer = deployment.account.read(
            "lambda:ListEventSourceMappings", FunctionName=naming.function(deployment.name, name)
        )
        for mapping in answer["EventSourceMappings"]:
            if mapping["UUID"] == identifier:
                found: Mapping[str, Any] = mapping
                return found
    raise IdentityMissing(f"The event source mapping {identifier}", "Deploy the renewal stack again")


def _queues_for_failures(deployment: Deployment) -> dict[str, str]:
    """Logical id → URL of every queue that holds only what has failed."""
    urls = {
        logical_id: str(queue["PhysicalResourceId"])
        for stack in ("identities", "renewal")
        for logical_id, queue in deployment.resources(stack, _QUEUE).items()
    }
    return {each: url for each, url in urls.items() if url.endswith(("-dead-letters", "-undelivered"))}


def _waiting(deployment: Deployment, logical_id: str) -> int:
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    url = _queues_for_failures(deployment)[logical_id]
    answer = deployment.account.read("sqs:GetQueueAttributes", QueueUrl=url, AttributeNames=list(counts))
    return sum(int(answer["Attributes"][count]) for count in counts)


def _function(deployment: Deployment, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    function, stack = naming.function(deployment.name, name), FUNCTIONS[name]
    configuration = deployment.account.read("lambda:GetFunctionConfiguration", FunctionName=function)
    for declared in deployment.declared(stack, "AWS::Lambda::Function").values():
        if declared.get("FunctionName") == function:
            return declared, configuration
    raise IdentityMissing(f"{function} in stack {deployment.stack(stack)}", "Deploy it")


def _expiry_warning(deployment: Deployment, _subject: str) -> int | None:
    answer = deployment.account.read("acm:GetAccountConfiguration")
    days: int | None = answer.get("ExpiryEvents", {}).get("DaysBeforeExpiry")
    return days


def judge_rule(seen: RuleSeen) -> Judgement:
    """Judge a rule: enabled, the template's pattern, retries, a failure queue, and admitted by the looks queue."""
    target = next((each for each in seen.targets if each["Arn"] == seen.queue), None)
    faults = [] if seen.rule["State"] == "ENABLED" else [f"it is {seen.rule['State']}"]
    if json.loads(seen.rule["EventPattern"]) != seen.pattern:
        faults.append(f"its pattern is {seen.rule['EventPattern']}")
    if target is None:
        faults.append("it does not send to the looks queue")
    elif "DeadLetterConfig" not in target or not target.get("RetryPolicy", {}).get("MaximumRetryAttempts"):
        faults.append("what fails is neither tried again nor kept")
    statements = json.loads(seen.policy)["Statement"] if seen.policy else []
    if not any(_admits(statement, seen.rule["Arn"]) for statement in statements):
        faults.append("the looks queue does not let it in")
    if faults:
        return contradicted("; ".join(faults), f"Only sweeps would notice what it should tell: {_DEPLOY}")
    retries = target["RetryPolicy"]["MaximumRetryAttempts"] if target else 0
    return confirmed(f"enabled, sends to the looks queue, {retries} retries, queue for what fails")


def judge_metrics(seen: MetricsSeen) -> Judgement:
    """Judge a rule's events: delivered if there were any, and there must be some after a renewal."""
    text = f"{seen.matched} matched, {seen.failed} failed in 15 months"
    if seen.failed:
        return contradicted(text, "See dead-letters: the queue for what was not delivered")
    if seen.matched:
        return confirmed(text)
    if seen.renewed:
        return contradicted(
            f"{text}, although ACM has renewed {', '.join(seen.renewed)}",
            "The events do not look as we think, or were lost; sweeps find renewals all the same. Please report it",
        )
    return undecided(f"{text}: nothing has happened yet", "Run this again after the first renewal and deployment")


def judge_schedule(seen: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Judgement:
    """Judge a schedule: enabled, with the template's interval and message."""
    declared, found = seen
    text = f"{found['ScheduleExpression']}, {found.get('State', 'ENABLED')}"
    same = found["ScheduleExpression"] == declared["ScheduleExpression"]
    same = same and found["Target"].get("Input") == declared["Target"]["Input"]
    if same and found.get("State", "ENABLED") == "ENABLED" and "DeadLetterConfig" in found["Target"]:
        return confirmed(f"{text}, sends {found['Target']['Input']}")
    return contradicted(text, f"What is unsettled, or an event that got lost, would stay unnoticed: {_DEPLOY}")


def judge_mapping(mapping: Mapping[str, Any]) -> Judgement:
    """Judge a mapping of a queue: enabled, and a single message of a batch may fail."""
    queue = mapping["EventSourceArn"].rpartition(":")[2]
    text = f"{queue} → {mapping['FunctionArn'].rpartition(':')[2]}, {mapping['State']}"
    if mapping["State"] not in {"Enabled", "Creating", "Enabling", "Updating"}:
        return contradicted(text, f"Its messages only wait: enable it, or {_DEPLOY}")
    if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        return contradicted(f"{text}, whole batches only", f"One bad message would hold up others: {_DEPLOY}")
    return confirmed(text)


def judge_waiting(waiting: int) -> Judgement:
    """Judge whether a failed message waits for a person."""
    if waiting == 0:
        return confirmed("empty")
    return contradicted(
        f"{waiting} waiting", "Read one without deleting it: it says which call failed. Mend that, then redrive it"
    )


def judge_function(seen: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Judgement:
    """Judge a function: the template's runtime and processor, and ready to run."""
    declared, found = seen
    architectures = declared.get("Architectures", ["x86_64"])
    states = (found.get("State", "Active"), found.get("LastUpdateStatus", "Successful"))
    text = f"{found['Runtime']} on {', '.join(found['Architectures'])}, {', '.join(states)}"
    if (found["Runtime"], found["Architectures"]) != (declared["Runtime"], architectures):
        return contradicted(
            f"{text}; the template says {declared['Runtime']} on {', '.join(architectures)}",
            "Its wheels would not load: deploy its stack again",
        )
    # Lambda deactivates a function that is not called for weeks; the next call activates it.
    if states[0] in {"Active", "Inactive"} and states[1] == "Successful":
        return confirmed(text)
    return contradicted(text, str(found.get("StateReason") or found.get("LastUpdateStatusReason") or "Deploy again"))


def judge_expiry_warning(days: int | None) -> Judgement:
    """Judge the account's ``DaysBeforeExpiry``."""
    if days is None:
        return undecided("GetAccountConfiguration names no number of days")
    text = f"{days} days before expiry"
    if days < 60:  # noqa: PLR2004 -- ACM renews private certificates itself from 60 days on (ACM guide)
        return confirmed(text)
    return contradicted(text, "The event would come before ACM's own renewal: an alarm on it would be a false one")


def _admits(statement: Mapping[str, Any], rule: str) -> bool:
    """True if a statement of the queue's policy lets EventBridge send to the queue for this rule."""
    conditions = statement.get("Condition", {}).values()
    # AWS spells the key with capitals of its own.
    sources = [value for condition in conditions for key, value in condition.items() if key.lower() == "aws:sourcearn"]
    principal = {"Service": "events.amazonaws.com"}
    return statement["Effect"] == "Allow" and statement.get("Principal") == principal and rule in sources


CHECKS: tuple[Check[Any], ...] = (
    Check("renewal-rule", "Events of ACM, Health and ECS reach the looks queue", _rules, _rule, judge_rule),
    Check("renewal-events", "The events match the rules, and no delivery fails", _rules, _metrics, judge_metrics),
    Check("schedule", "Tick and sweep come as often as declared", _schedules, _schedule, judge_schedule),
    Check("queue-mapping", "Lambda takes messages from the queues", _mappings, _mapping, judge_mapping),
    Check(
        "expiry-warning",
        "ACM warns of expiry only after its own renewal is due (60 days)",
        lambda deployment: [deployment.account_id],
        _expiry_warning,
        judge_expiry_warning,
    ),
    Check("dead-letters", "Nothing that failed is waiting", _queues_for_failures, _waiting, judge_waiting),
    Check(
        "function",
        "A function has the template's runtime and processor",
        lambda _deployment: FUNCTIONS,
        _function,
        judge_function,
    ),
)
