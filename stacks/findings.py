"""cdk-nag findings that we accept, each with its reason where the resource is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, Validations

if TYPE_CHECKING:
    from constructs import IConstruct


def accept(construct: IConstruct, finding: str, reason: str) -> None:
    """
    Accept one finding of one construct.

    Args:
        construct: What the finding is about.
        finding: The rule, with the finding in brackets where a rule has several (``AwsSolutions-IAM5[Resource::*]``).
        reason: Why it is right here, a sentence a security engineer accepts.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))
