"""How long a policy is as AWS counts it, before anything is deployed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_cdk import Stack

from meshcert.errors import Fault, MeshInvalid

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam
    from constructs import Construct

MOST_CHARACTERS = 6_144
"""Of a managed policy, without white space (IAM quotas)."""
_LONGEST = {
    "AWS::AccountId": "1" * 12,
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-southeast-1",
    "AWS::URLSuffix": "amazonaws.com.cn",
}
_ARN = "arn:aws-us-gov:kms:ap-southeast-1:111122223333:key/00000000-0000-0000-0000-000000000000"
"""Stands for what another resource gives: the longest is the ARN of the key."""


def require_room(scope: Construct, service: str, document: iam.PolicyDocument) -> None:
    """
    Check that a managed policy is as short as AWS wants it, whatever the region.

    Args:
        service: Name of the service in the mesh file whose task role gets it.

    Raises:
        MeshInvalid: If it is longer.
    """
    length = len(json.dumps(_told(Stack.of(scope).resolve(document)), separators=(",", ":")))
    if length > MOST_CHARACTERS:
        problem = f"the policy of its task role takes {length:,} characters, and AWS allows {MOST_CHARACTERS:,}"
        remedy = "Divide the service: each backend, identity and hierarchy that its proxy knows is named in it"
        raise MeshInvalid("the mesh", (Fault(f"services.{service}.attached", problem, remedy),))


def _told(value: Any) -> Any:
    """A value of a template as long as it may become."""
    match value:
        case {"Ref": str(name)}:
            return _LONGEST.get(name, _ARN)
        case {"Fn::Join": [str(between), list(parts)]}:
            return between.join(str(_told(part)) for part in parts)
        case dict() if any(key.startswith("Fn::") for key in value):
            return _ARN
        case dict():
            return {key: _told(each) for key, each in value.items()}
        case list():
            return [_told(each) for each in value]
    return value
