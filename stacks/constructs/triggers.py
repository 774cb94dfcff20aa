"""The triggers of a look: events of ACM, AWS Health and Amazon ECS, and the clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from meshcert import naming
from meshcert.issuing.acm import ACM
from meshcert.lifecycle.asking.dispatch import SWEEP_S, sweep_parts
from meshcert.lifecycle.asking.looks import SWEEP
from stacks.constructs.rights import schedules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aws_cdk import aws_sqs as sqs

ACM_AND_HEALTH: dict[str, tuple[str, events.EventPattern]] = {
    "CertificateChanged": (
        "ACM has renewed a certificate, or says that it could not",
        events.EventPattern(
            source=["aws.acm"],
            detail_type=[
                "ACM Certificate Available",
                "ACM Certificate Approaching Expiration",
                "ACM Certificate Expired",
                "ACM Certificate Renewal Action Required",
                "ACM Certificate Revoked",
                # EventBridge lists it, and the ACM user guide does not say when it comes.
                "ACM Certificate Rotated",
            ],
        ),
    ),
    "RenewalReported": (
        "AWS Health says the same over another channel",
        events.EventPattern(
            source=["aws.health"],
            detail_type=["AWS Health Event"],
            detail={
                "service": ["ACM"],
                "eventTypeCode": ["AWS_ACM_RENEWAL_STATE_CHANGE", "AWS_ACM_RENEWAL_FAILURE"],
            },
        ),
    ),
}
"""Description and pattern by source and type, and never by ARN, so that a replaced certificate is not missed."""

PRIVATE_CA: dict[str, tuple[str, events.EventPattern]] = {
    "CertificateIssued": (
        "Private CA has made a certificate; without this event, a tick sees it a minute later",
        events.EventPattern(source=["aws.acm-pca"], detail_type=["ACM Private CA Certificate Issuance"]),
    ),
}
"""The same where certificates come from Private CA: it answers with an ARN before it has the certificate."""

SERVICES_OF_A_RULE = 10
"""Services that one rule names: a pattern has 2,048 characters at most (EventBridge quotas), an ARN up to 150."""

SCHEDULES = {
    "tick": ("rate(1 minute)", "Looks at the identities that are not settled", Duration.minutes(5)),
    "sweep": ("rate(1 hour)", "Looks at every identity, whatever events said", Duration.minutes(30)),
}
"""The schedules: expression, description, and how long delivery of a message is tried."""


def _schedules(identities: int) -> Iterator[tuple[str, str, str, Duration, dict[str, int]]]:
    """Name, expression, description, longest delivery, and what the message says besides, of every schedule."""
    for name, (expression, description, longest) in SCHEDULES.items():
        parts = sweep_parts(identities, ACM.looks_per_second) if name == SWEEP else 1
        if parts == 1:
            yield name, expression, description, longest, {}
            continue
        for part in range(parts):
            minute = part * SWEEP_S // (60 * parts)
            told = f"{description}: part {part + 1} of {parts}"
            yield f"{name}-{part + 1}", f"cron({minute} * * * ? *)", told, longest, {"part": part, "parts": parts}


def patterns(mesh: str, places: Iterable[str], *, own_keys: bool = False) -> dict[str, tuple[str, events.EventPattern]]:
    """
    Description and pattern of every rule.

    Args:
        places: ``CLUSTER/SERVICE`` of each of the mesh's services.
        own_keys: Whether AWS Private CA issues certificates in the mesh.

    ECS sends the events of every task and service of the account (EventBridge reference, "Amazon ECS events"). Those of
    other clusters, and of other services in a cluster that is not the mesh's own, would be a message and a run each,
    and real ones would wait behind them.
    """
    own = naming.cluster(mesh)
    elsewhere: dict[str, list[str]] = {}
    for cluster, _, service in (place.partition("/") for place in places):
        elsewhere.setdefault(cluster, []).append(service)
    rules = {**ACM_AND_HEALTH, **(PRIVATE_CA if own_keys else {})}
    if elsewhere.pop(own, None):
        rules |= _ecs_rules("", own, None)
    parts = [
        (cluster, services[start : start + SERVICES_OF_A_RULE])
        for cluster, services in elsewhere.items()
        for start in range(0, len(services), SERVICES_OF_A_RULE)
    ]
    for number, (cluster, services) in enumerate(parts, 1):
        rules |= _ecs_rules(f"Elsewhere{number}", cluster, services)
    return {name: (description, _of_this_account(pattern)) for name, (description, pattern) in rules.items()}


def _of_this_account(pattern: events.EventPattern) -> events.EventPattern:
    """A bus may take events of other accounts, too, and a rule without an account matches them (EventBridge guide)."""
    return events.EventPattern(
        account=[Aws.ACCOUNT_ID],
        source=pattern.source,
        detail_type=pattern.detail_type,
        resources=pattern.resources,
        detail=pattern.detail,
    )


def _ecs_rules(suffix: str, cluster: str, services: Sequence[str] | None) -> dict[str, tuple[str, events.EventPattern]]:
    """
    The rules for the services of one cluster.

    Args:
        services: Their names; None for all of the cluster.
    """
    ecs = f"arn:{Aws.PARTITION}:ecs:{Aws.REGION}:{Aws.ACCOUNT_ID}"
    return {
        f"DeploymentChanged{suffix}": (
            "A deployment of a service began, is complete, or has failed",
            events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                # The event's detail does not name the cluster.
                resources=(
                    events.Match.prefix(f"{ecs}:service/{cluster}/")
                    if services is None
                    else [f"{ecs}:service/{cluster}/{service}" for service in services]
                ),
            ),
        ),
        f"TaskStopped{suffix}": (
            "A task ends: it may be the first one that failed on a new certificate",
            # The last status comes half a minute or more later: Fargate takes the network down first.
            events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Task State Change"],
                detail={
                    "desiredStatus": ["STOPPED"],
                    "clusterArn": [f"{ecs}:cluster/{cluster}"],
                    # A task that somebody runs by hand in the cluster belongs to no service.
                    "group": (
                        events.Match.prefix("service:")
                        if services is None
                        else [f"service:{service}" for service in services]
                    ),
                },
            ),
        ),
    }


class EventRules(Construct):
    """
    The EventBridge rules, each with retries for a day and a queue for events that even then were not delivered.

    Args:
        target: Gets the events as they are.
        undelivered: Gets the events that the target did not take.
        own_keys: Whether AWS Private CA issues certificates in the mesh.
        places: ``CLUSTER/SERVICE`` of each of the mesh's services.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        target: sqs.Queue,
        undelivered: sqs.Queue,
        own_keys: bool,
        places: Iterable[str],
    ) -> None:
        super().__init__(scope, construct_id)
        self.rules = {
            name: events.Rule(
                self,
                name,
                description=description,
                event_pattern=pattern,
                targets=[
                    targets.SqsQueue(
                        target,
                        dead_letter_queue=undelivered,
                        max_event_age=Duration.hours(24),
                        retry_attempts=185,
                    )
                ],
            )
            for name, (description, pattern) in patterns(mesh, places, own_keys=own_keys).items()
        }
        """The rules by name."""


class ClockSchedules(Construct):
    """
    The schedules of tick and sweep, sent with a role that can do nothing else.

    Args:
        identities: How many the mesh has: a large fleet's sweep comes in parts.
        target: Gets ``{"dispatch": "tick"}`` and ``{"dispatch": "sweep"}``.
        undelivered: Gets what the target did not take.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        identities: int,
        target: sqs.Queue,
        undelivered: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(
            self,
            "Role",
            assumed_by=schedules(),
            description=f"meshcert {mesh}: sends tick and sweep",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Send", actions=["sqs:SendMessage"], resources=[target.queue_arn, undelivered.queue_arn]
            )
        )
        for name, expression, description, longest, besides in _schedules(identities):
            schedule = scheduler.CfnSchedule(
                self,
                name.capitalize(),
                name=naming.schedule(mesh, name),
                description=description,
                schedule_expression=expression,
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                target=scheduler.CfnSchedule.TargetProperty(
                    arn=target.queue_arn,
                    role_arn=role.role_arn,
                    input=json.dumps({"dispatch": name.partition("-")[0], **besides}),
                    retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                        maximum_event_age_in_seconds=longest.to_seconds(), maximum_retry_attempts=10
                    ),
                    dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=undelivered.queue_arn),
                ),
            )
            # The first message comes at once, so the role must be allowed to send by then.
            schedule.node.add_dependency(role)
