"""
What an alarm may tell: a topic whose policy, and whose key's policy, let CloudWatch in.

MiniStack 1.5.33 publishes to any topic, tells no action in an alarm's history, and its CloudFormation forgets the
topic's key.

AWS needs sns:Publish in the topic's policy, and for an encrypted topic kms:GenerateDataKey* and kms:Decrypt for
cloudwatch.amazonaws.com in the key's policy, which the AWS managed key ``alias/aws/sns`` cannot have (AWS re:Post, "Why
didn't I receive an SNS notification for my CloudWatch alarm trigger?"; SNS developer guide, "Key management"). Whether
the message got out stands in DescribeAlarmHistory.

It can go when an alarm on a topic under a key without that policy shows a failed action in its history.
"""

from __future__ import annotations

import functools
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator, responses
from ministack.services import cloudwatch, kms, sns
from ministack.services.cloudformation import provisioners

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_SERVICE = "cloudwatch.amazonaws.com"
_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def install() -> None:
    """Check every topic before MiniStack publishes to it; keep the key of topics that a template makes."""
    for name in ("_topic_by_arn_any_scope", "topic_policy_allows"):
        hooks.require(sns, name)
    hooks.require(kms, "_resolve_key")
    hooks.require(cloudwatch, "_history_entries")
    hooks.wrap(cloudwatch, "_dispatch_alarm_actions", _checked)
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")["AWS::SNS::Topic"]
    handlers.update(create=_with_key(handlers["create"], 1), update=_with_key(handlers["update"], 2))


def _checked(inner: Callable[..., None]) -> Callable[..., None]:
    def dispatch(alarm: dict[str, Any], before: str, state: str, reason: str) -> None:
        kind = _ACTIONS[state]
        topics = [arn for arn in alarm.get(kind) or [] if ":sns:" in arn]
        if not alarm.get("ActionsEnabled", True) or not topics:
            return
        refusals = {topic: _refusal(topic, alarm["AlarmArn"]) for topic in topics}
        inner({**alarm, kind: [topic for topic, refusal in refusals.items() if not refusal]}, before, state, reason)
        for topic, refusal in refusals.items():
            if refusal:
                logger.warning("alarm %s: no message to %s: %s", alarm["AlarmName"], topic, refusal)
            outcome = f'Failed to execute action {topic}. Received error: "{refusal}"'
            _note(alarm, outcome if refusal else f"Successfully executed action {topic}")

    return dispatch


def _note(alarm: dict[str, Any], summary: str) -> None:
    """DescribeAlarmHistory shows actions beside the changes of state."""
    cloudwatch._history_entries().append(
        {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": "CompositeAlarm" if "AlarmRule" in alarm else "MetricAlarm",
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "HistoryItemType": "Action",
            "HistorySummary": summary,
            "HistoryData": "{}",
        }
    )


def _refusal(topic_arn: str, alarm_arn: str) -> str:
    """Why CloudWatch cannot publish to a topic; empty if it can."""
    topic = sns._topic_by_arn_any_scope(topic_arn)
    if topic is None:
        return f"Topic {topic_arn} does not exist"
    if not sns.topic_policy_allows(topic_arn, _SERVICE, alarm_arn, responses.get_account_id()):
        return f"User: {_SERVICE} is not authorized to perform: SNS:Publish on resource: {topic_arn}"
    key_id = topic["attributes"].get("KmsMasterKeyId")
    if not key_id:
        return ""
    key = kms._resolve_key(key_id)
    if key is None or key.get("KeyState") != "Enabled":
        return f"the key {key_id} of the topic is not usable"
    needed = ("kms:GenerateDataKey", "kms:Decrypt")
    if all(_key_allows(key, action, topic_arn, alarm_arn) for action in needed):
        return ""
    return "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."


def _key_allows(key: dict[str, Any], action: str, topic_arn: str, alarm_arn: str) -> bool:
    account, region = responses.get_account_id(), responses.get_region()
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=key["Arn"],
        region=region,
        service_context={
            "aws:sourcearn": alarm_arn,
            "aws:sourceaccount": account,
            "kms:viaservice": f"sns.{region}.amazonaws.com",
            "kms:encryptioncontext:aws:sns:topicarn": topic_arn,
        },
    )
    return bool(
        iam_evaluator.evaluate_resource_policy(key.get("Policy"), context, service=_SERVICE).decision == "Allow"
    )


def _with_key(inner: Callable[..., Any], properties_at: int) -> Callable[..., Any]:
    @functools.wraps(inner)
    def provision(*arguments: Any, **options: Any) -> Any:
        made = inner(*arguments, **options)
        topic = sns._topic_by_arn_any_scope(made[0])
        key_id = arguments[properties_at].get("KmsMasterKeyId")
        if topic is not None:
            topic["attributes"].pop("KmsMasterKeyId", None)
            topic["attributes"].update({"KmsMasterKeyId": key_id} if key_id else {})
        return made

    return provision
