"""Roles with inline policies, for clients that are to be refused something."""

from __future__ import annotations

import json
from typing import Any, Protocol


class Clients(Protocol):
    """An AWS, as far as helpers need one: the local AWS, or MiniStack as it is."""

    def client(self, service: str, config: Any = None) -> Any:
        """A boto3 client with an administrator's rights."""


def new_role(
    aws: Clients, name: str, statements: list[dict[str, Any]], service: str = "ecs-tasks.amazonaws.com"
) -> str:
    """A role that ``service`` may assume and that may do what the statements say; returns its ARN."""
    iam = aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy([trust]))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=_policy(statements))
    return str(role["Arn"])


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
