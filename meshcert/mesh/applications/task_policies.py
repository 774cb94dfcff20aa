"""What an application may do in AWS, beside what its task needs: on the role of its tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from meshcert.mesh.part import Part


class TaskStatement(Part, title="Statement"):
    """A statement of an IAM policy."""

    effect: Literal["Allow", "Deny"] = "Allow"
    """`Allow` or `Deny`."""
    actions: tuple[str, ...] = Field(min_length=1, max_length=100, examples=[["s3:GetObject"]])
    """IAM actions."""
    resources: tuple[str, ...] = Field(min_length=1, max_length=100, examples=[["arn:aws:s3:::shop-orders/*"]])
    """ARNs, with `*` and `?`."""
    conditions: dict[str, dict[str, tuple[str, ...]]] = Field(
        default={}, examples=["{StringEquals: {aws:PrincipalTag/team: [orders]}}"]
    )
    """Operator, then key, then values."""


class TaskPolicies(Part):
    """Policies of yours on the role of a service's tasks."""

    managed: tuple[str, ...] = Field(
        default=(),
        max_length=8,
        examples=[["arn:aws:iam::111122223333:policy/orders"]],
        json_schema_extra={"uniqueItems": True},
    )
    """ARNs of managed policies; they exist already, and meshcert does not see what they allow."""
    statements: tuple[TaskStatement, ...] = Field(default=(), max_length=20)
    """Statements; one that could reach what is meshcert's is refused."""
