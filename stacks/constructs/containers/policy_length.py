"""How long the policies of a task role are as AWS counts them, before anything is deployed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam

from meshcert import naming
from meshcert.errors import Fault, MeshInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from constructs import Construct

MANAGED, INLINE = 6_144, 10_240
"""Characters of a managed policy, and of all inline policies of a role together, without white space (IAM quotas)."""
_LONGEST_REGION = "ap-southeast-1"
"""Where the deploy decides about the region; that of another partition is known, for a cell says it."""
_ARN = "arn:aws-us-gov:kms:ap-southeast-1:111122223333:key/00000000-0000-0000-0000-000000000000"
"""Stands for what another resource gives: the longest is the ARN of the key."""


def require_room(scope: Construct, service: str, document: iam.PolicyDocument) -> None:
    """
    Check that the managed policy of an attached service is as short as AWS wants it, whatever the region.

    Args:
        service: Name of the service in the mesh file whose task role gets it.

    Raises:
        MeshInvalid: If it is longer.
    """
    length = _length(scope, [document])
    if length > MANAGED:
        problem = f"the policy of its task role takes {length:,} characters, and AWS allows {MANAGED:,}"
        remedy = "Divide the service: each backend, identity and hierarchy that its proxy knows is named in it"
        raise MeshInvalid("the mesh", (Fault(f"services.{service}.attached", problem, remedy),))


def require_room_in_role(role: iam.Role, service: str, beside: Iterable[iam.Policy]) -> None:
    """
    Check that all inline policies of a task role are together as short as AWS wants them, whatever the region.

    Args:
        role: With everything that its tasks may do.
        service: Name of the service in the mesh file whose tasks have it.
        beside: Policies of the role that are no part of it in the template.

    Raises:
        MeshInvalid: If they are longer.
    """
    made: Any = role.node.default_child
    documents = [each["policyDocument"] for each in Stack.of(role).resolve(made.policies) or ()]
    # Of those beside, the role has the earlier one besides until an update is through.
    documents += [each.document for each in (*role.node.children, *beside, *beside) if isinstance(each, iam.Policy)]
    length = _length(role, documents)
    if length > INLINE:
        problem = f"the inline policies of its task role take {length:,} characters, and AWS allows {INLINE:,}"
        remedy = (
            "Name a managed policy in application.task_policies instead of statements, or divide the service: each "
            "backend, identity and hierarchy that its proxy knows is named in them"
        )
        raise MeshInvalid("the mesh", (Fault(f"services.{service}", problem, remedy),))


def _length(scope: Construct, documents: Iterable[Any]) -> int:
    stack = Stack.of(scope)
    region = _LONGEST_REGION if Token.is_unresolved(stack.region) else stack.region
    partition = naming.partition(region)
    known = {
        "AWS::AccountId": "1" * 12,
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
    }
    return sum(len(json.dumps(_told(stack.resolve(document), known), separators=(",", ":"))) for document in documents)


def _told(value: Any, known: Mapping[str, str]) -> Any:
    """A value of a template as long as it may become."""
    match value:
        case {"Ref": str(name)}:
            return known.get(name, _ARN)
        case {"Fn::Join": [str(between), list(parts)]}:
            return between.join(str(_told(part, known)) for part in parts)
        case dict() if any(key.startswith("Fn::") for key in value):
            return _ARN
        case dict():
            return {key: _told(each, known) for key, each in value.items()}
        case list():
            return [_told(each, known) for each in value]
    return value
