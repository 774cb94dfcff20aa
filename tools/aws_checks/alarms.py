"""Checks of notification: the alarms as deployed, and the topic that they notify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert import naming
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.aws_checks.deployment import Deployment

_ALARM = "AWS::CloudWatch::Alarm"


@dataclass(frozen=True)
class AlarmsSeen:
    """
    The alarms of a mesh.

    Args:
        declared: Names of the alarms in the deployed template.
        found: ``MetricAlarms`` of cloudwatch:DescribeAlarms.
        topic: ARN of the topic that they should notify.
    """

    declared: Sequence[str]
    found: Sequence[Mapping[str, Any]]
    topic: str


def _mesh(deployment: Deployment) -> Iterable[str]:
    return [deployment.name]


def _topic_arn(deployment: Deployment) -> str:
    return deployment.arn("sns", naming.topic(deployment.name))


def _alarms(deployment: Deployment, _mesh: str) -> AlarmsSeen:
    declared = [alarm["AlarmName"] for alarm in deployment.declared("renewal", _ALARM).values()]
    prefix = naming.alarm(deployment.name, "")
    answer = deployment.account.read("cloudwatch:DescribeAlarms", AlarmNamePrefix=prefix)
    return AlarmsSeen(declared, answer["MetricAlarms"], _topic_arn(deployment))


def _subscriptions(deployment: Deployment, _mesh: str) -> tuple[int, int]:
    answer = deployment.account.read("sns:GetTopicAttributes", TopicArn=_topic_arn(deployment))["Attributes"]
    return int(answer.get("SubscriptionsConfirmed", 0)), int(answer.get("SubscriptionsPending", 0))


def judge_alarms(seen: AlarmsSeen) -> Judgement:
    """Judge whether every alarm is there and notifies the topic; name the ones that are on."""
    found = {alarm["AlarmName"]: alarm for alarm in seen.found}
    faults = [f"{name} does not exist" for name in sorted(set(seen.declared) - set(found))]
    ours = [found[name] for name in sorted(set(seen.declared) & set(found))]
    mute = [alarm for alarm in ours if not alarm.get("ActionsEnabled", True) or seen.topic not in alarm["AlarmActions"]]
    faults += [f"{alarm['AlarmName']} tells nobody" for alarm in mute]
    if faults:
        return contradicted("; ".join(faults), "Deploy the renewal stack again")
    on = [alarm["AlarmName"] for alarm in ours if alarm["StateValue"] == "ALARM"]
    text = f"{len(ours)} alarms" + (f"; on: {', '.join(on)}" if on else ", none on")
    return confirmed(text)


def judge_subscriptions(seen: tuple[int, int]) -> Judgement:
    """Judge whether the topic has a confirmed subscription; only the account's owner knows whose it should be."""
    subscribed, pending = seen
    text = f"{subscribed} subscribed, {pending} to be confirmed"
    if subscribed:
        return confirmed(text)
    return undecided(text, "Subscribe somebody to the topic in the renewal stack's output AlarmTopic")


CHECKS: tuple[Check[Any], ...] = (
    Check("alarms", "Every alarm is there and tells the topic", _mesh, _alarms, judge_alarms),
    Check("alarm-topic", "Somebody hears of alarms", _mesh, _subscriptions, judge_subscriptions),
)
