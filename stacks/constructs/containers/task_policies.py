"""The user's policies on the role of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from meshcert.mesh.applications.task_policies import TaskPolicies


def attach_task_policies(task: ecs.FargateTaskDefinition, policies: TaskPolicies) -> None:
    """Let a task do what the mesh file says, beside what it needs itself."""
    for number, arn in enumerate(policies.managed):
        task.task_role.add_managed_policy(
            iam.ManagedPolicy.from_managed_policy_arn(task, f"ManagedPolicy{number}", arn)
        )
    for statement in policies.statements:
        task.add_to_task_role_policy(
            iam.PolicyStatement(
                effect=iam.Effect.ALLOW if statement.effect == "Allow" else iam.Effect.DENY,
                actions=list(statement.actions),
                resources=list(statement.resources),
                conditions={
                    operator: {key: list(values) for key, values in keys.items()}
                    for operator, keys in statement.conditions.items()
                },
            )
        )
