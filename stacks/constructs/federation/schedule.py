"""A schedule that runs a function of federation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler

from meshcert import naming
from stacks.constructs.rights import schedules

if TYPE_CHECKING:
    from constructs import Construct

    from stacks.constructs.python_function import PythonFunction


def run_every(
    scope: Construct, *, mesh: str, name: str, every_s: int, function: PythonFunction, description: str
) -> scheduler.CfnSchedule:
    """
    Run a function again and again, the first time at once; a lost run is of no matter, because the next one comes.

    Args:
        name: The function's, and the schedule's.
    """
    role = iam.Role(
        scope,
        "ScheduleRole",
        assumed_by=schedules(),
        description=f"meshcert {mesh}: runs the {name} function",
    )
    role.add_to_policy(
        iam.PolicyStatement(sid="Run", actions=["lambda:InvokeFunction"], resources=[function.function.function_arn])
    )
    schedule = scheduler.CfnSchedule(
        scope,
        "Schedule",
        name=naming.schedule(mesh, name),
        description=description,
        schedule_expression=f"rate({every_s // 60} minutes)",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=function.function.function_arn,
            role_arn=role.role_arn,
            input=json.dumps({name: "tick"}),
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_event_age_in_seconds=every_s, maximum_retry_attempts=3
            ),
        ),
    )
    # The first run comes at once, so the roles must have their rights by then.
    schedule.node.add_dependency(role, function.role)
    return schedule
