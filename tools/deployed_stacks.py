"""Stacks as CloudFormation describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping


def described_stack(cloudformation: Any, name: str) -> Mapping[str, Any] | None:
    """
    A stack, or None if there is none of this name.

    Args:
        cloudformation: A boto3 client of CloudFormation.

    Raises:
        ClientError: If AWS refuses.
    """
    try:
        found: list[Mapping[str, Any]] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        # CloudFormation has no error code of its own for a stack that does not exist.
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return found[0]
