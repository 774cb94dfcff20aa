"""
A check of every right that the deployed templates grant: nothing else in the account may take one away.

The statements are those of the templates in the account, so a right that a later version adds is asked for as soon as
it is deployed. Permission boundaries and policies of the organization deny without a word, and the first who notices
would be a renewal a year later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.aws_checks.rights import Case, RightsSeen, judge_rights, simulate
from tools.aws_checks.verdicts import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tools.aws_checks.deployment import Deployment

STACKS = ("identities", "services", "renewal")
"""The stacks that have roles."""

NOT_ASKED = {
    "dynamodb:PutItem": "a task's own row alone, by keys that only a real request has: meshcert status shows it",
    "kms:Decrypt": "rights-key asks, with the key's ARN, which is no text in a template",
    "kms:GenerateDataKey": "the same key: a secret that is published was encrypted with it",
    "s3:GetObject": "the list's key has the CA's id: a service with fail_closed is up if it was read",
}
"""Actions on resources that only CloudFormation can name, or in a real request alone, and why nobody asks for them."""

_SAMPLES = (("-??????", "-AbCdEf"), ("*", "any"))
_SAYS_A_VALUE = {"StringEquals", "ArnEquals", "ArnLike"}
"""Operators that hold for a request with the value that stands beside them."""


@dataclass(frozen=True)
class Grant:
    """
    A statement of a deployed template that names its resources as text.

    Args:
        role: Name of the role that has it.
        resource: One resource that it is about.
        context: Condition keys, with a value for which it holds.
    """

    role: str
    actions: tuple[str, ...]
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def grants(deployment: Deployment) -> Iterator[Grant]:
    """Every right that a deployed template grants to a role with a name, as far as its text says on what."""
    for stack in STACKS:
        roles = deployment.declared(stack, "AWS::IAM::Role")
        for role in roles.values():
            for policy in role.get("Policies", ()):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield from _grant(role.get("RoleName"), statement)
        policies = [
            policy
            for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
            for policy in deployment.declared(stack, kind).values()
        ]
        for policy in policies:
            for statement in policy["PolicyDocument"]["Statement"]:
                # The policy of a service of yours hangs at a role of yours: rights-task asks for it.
                for reference in policy.get("Roles", ()):
                    yield from _grant(roles.get(reference.get("Ref"), {}).get("RoleName"), statement)


def _grant(role: object, statement: Mapping[str, Any]) -> Iterator[Grant]:
    resources = [each for each in _list(statement["Resource"]) if isinstance(each, str)]
    conditions = statement.get("Condition", {})
    context = {key: _list(value)[0] for kind in conditions for key, value in conditions[kind].items()}
    if (
        isinstance(role, str)
        and statement["Effect"] == "Allow"
        and conditions.keys() <= _SAYS_A_VALUE
        and all(isinstance(value, str) for value in context.values())
    ):
        for resource in resources:
            yield Grant(role, tuple(_list(statement["Action"])), _sample(resource), context)


def _sample(resource: str) -> str:
    if resource == "*":
        return resource
    for wildcard, text in _SAMPLES:
        resource = resource.replace(wildcard, text)
    return resource


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _roles(deployment: Deployment) -> Iterable[str]:
    return sorted({grant.role for grant in grants(deployment)})


def _look(deployment: Deployment, role: str) -> RightsSeen:
    cases = [
        Case(action, grant.resource, allowed=True, context=grant.context)
        for grant in grants(deployment)
        if grant.role == role
        for action in grant.actions
    ]
    return simulate(deployment, deployment.arn("iam", f"role/{role}"), cases)


CHECKS: tuple[Check[Any], ...] = (
    Check("rights-granted", "Nothing in the account takes away what a template grants", _roles, _look, judge_rights),
)
