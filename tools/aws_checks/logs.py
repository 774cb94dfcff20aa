"""Checks of a log group of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tools.aws_checks.deployment import Deployment

_STANDARD = "STANDARD"
_MOST_FILTERS = 100
"""Metric filters of a log group (CloudWatch Logs quotas)."""


class YourLogGroupSeen(NamedTuple):
    """
    A log group of the mesh file.

    Args:
        declared: Its name or ARN as the mesh file has it.
        place: Its ARN, if it is of the account and region of the mesh.
        group: AWS's description; empty if this account and region have none of this name.
        service: Principal of CloudWatch Logs in the region.
        key: AWS's description of the KMS key that its lines are under; empty without one.
        key_policy: That key's policy.
        is_planned: Whether the mesh's metric filter is yet to be made there.
    """

    declared: str
    place: str
    group: Mapping[str, Any]
    service: str
    key: Mapping[str, Any]
    key_policy: str
    is_planned: bool


def _groups(deployment: Deployment) -> Iterable[str]:
    return [deployment.mesh.logs.existing] if deployment.mesh.logs.existing else []


def _group(deployment: Deployment, declared: str) -> YourLogGroupSeen:
    read, name = deployment.account.read, deployment.mesh.logs.existing_name
    found = read("logs:DescribeLogGroups", logGroupNamePrefix=name)["logGroups"]
    group: Mapping[str, Any] = next((each for each in found if each["logGroupName"] == name), {})
    key: Mapping[str, Any] = {}
    policy = ""
    if arn := group.get("kmsKeyId"):
        key = read("kms:DescribeKey", KeyId=arn)["KeyMetadata"]
        policy = str(read("kms:GetKeyPolicy", KeyId=arn, PolicyName="default")["Policy"])
    return YourLogGroupSeen(
        declared,
        deployment.arn("logs", f"log-group:{name}"),
        group,
        f"logs.{deployment.region}.amazonaws.com",
        key,
        policy,
        deployment.is_planned,
    )


def judge_group(seen: YourLogGroupSeen) -> Judgement:
    """Judge whether tasks can write to the log group, and lines about refused peers can be counted there."""
    if seen.declared.startswith("arn:") and seen.declared.removesuffix(":*") != seen.place:
        return contradicted(seen.declared, f"Name a log group of this account and region: {seen.place}")
    if not seen.group:
        return contradicted(f"{seen.place} does not exist", "Make it, or name another: logs.existing")
    return _judge_room(seen)


def _judge_room(seen: YourLogGroupSeen) -> Judgement:
    kind, filters = str(seen.group.get("logGroupClass", _STANDARD)), int(seen.group.get("metricFilterCount", 0))
    text = f"class {kind}, {filters} metric filters"
    if kind != _STANDARD:
        return contradicted(text, f"Name one of class {_STANDARD}: others take no metric filter, and keep their class")
    if seen.is_planned and filters >= _MOST_FILTERS:
        return contradicted(text, f"Remove a metric filter of it, or name another: it may have {_MOST_FILTERS}")
    return _judge_key(seen, text) if seen.key else confirmed(text)


def _judge_key(seen: YourLogGroupSeen, text: str) -> Judgement:
    state = str(seen.key.get("KeyState", ""))
    text += f", under key {seen.key.get('KeyId', '')}, which is {state}"
    if state != "Enabled":
        return contradicted(text, "Have the key's owner enable it: CloudWatch Logs takes no line meanwhile")
    if seen.service not in seen.key_policy:
        return undecided(
            f"{text}; its policy does not name {seen.service}",
            f"See that the key's policy or a grant lets {seen.service} use it for this log group",
        )
    return confirmed(text)


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "logs-yours",
        "Tasks can write to the log group of yours, and lines in it can be counted",
        _groups,
        _group,
        judge_group,
        "Name a log group of this account and region, under a key that is there: logs.existing",
    ),
)
