"""Accepting cdk-nag findings, each with its reason, next to the resource it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, Validations

if TYPE_CHECKING:
    from constructs import IConstruct


def accept(construct: IConstruct, finding: str, reason: str) -> None:
    """
    Accept one finding of one construct.

    Args:
        finding: The rule, with the finding in brackets where a rule has several (``AwsSolutions-IAM5[Resource::*]``).
        reason: Why it is right here: a sentence that convinces a security engineer.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))
