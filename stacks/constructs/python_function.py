"""A Lambda function like all of ours: the common bundle, a role with its own name, and a log group that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from meshcert import naming
from stacks.bundling import function_code
from stacks.constructs.dead_letters import dead_letter_queue
from stacks.constructs.rights import MeshRights
from stacks.findings import accept

if TYPE_CHECKING:
    from meshcert.settings import MeshSettings
    from stacks.runtime import Platform

RETRIES = 2
"""How often Lambda repeats a failed asynchronous call: the most it allows."""


class PythonFunction(Construct):
    """
    The function ``lambdas/NAME/handler.py``.

    Args:
        name: The handler's folder. The function, its log group and its role are named after it.
        settings: Become the environment that the handler reads.
        timeout: Longest run.
        role: Another function's role, to share it; None makes one that is named after this function.
        asynchronous: Callers do not wait for it, so Lambda tries again for so long and keeps what failed in a
            dead-letter queue. None: a caller that waits sees the failure itself, and a queue that feeds a function has
            its own dead letters.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        platform: Platform,
        settings: MeshSettings,
        timeout: Duration,
        role: iam.Role | None = None,
        asynchronous: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        mesh = settings.mesh
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=naming.log_group(mesh, name),
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=RemovalPolicy.DESTROY,
        )
        # Not AWSLambdaBasicExecutionRole, which may write to every log group of the account.
        self.role = role or iam.Role(
            self,
            "Role",
            role_name=naming.role(mesh, Aws.REGION, name),
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"meshcert {mesh}: the {name} function",
        )
        self.arn_by_name = MeshRights(mesh).arn("lambda", f"function:{naming.function(mesh, name)}")
        """For stacks that import nothing of this one."""
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=naming.function(mesh, name),
            description=f"meshcert {mesh}: {name}",
            code=function_code(platform),
            handler=f"{name}.handler.lambda_handler",
            runtime=platform.runtime,
            architecture=platform.lambda_architecture,
            memory_size=512,
            timeout=timeout,
            role=self.role,
            log_group=log_group,
            dead_letter_queue=dead_letter_queue(self, mesh=mesh, name=name) if asynchronous else None,
            retry_attempts=RETRIES if asynchronous else None,
            max_event_age=asynchronous,
            environment={
                "AWS_RETRY_MODE": "standard",
                "POWERTOOLS_SERVICE_NAME": f"meshcert-{name}",
                **settings.to_environ(),
            },
        )
        accept(
            self.function,
            "AwsSolutions-L1",
            "Python 3.13 is what the pinned wheels are tested with; AWS supports it until 2029-06-30.",
        )
        # The CDK grants the queue itself; the log group's own streams are ours to grant.
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group.log_group_arn]
            )
        )
