"""Tables in DynamoDB, as every one of the mesh is: paid by request, and protected from deletion where that is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb

from stacks.findings import accept

if TYPE_CHECKING:
    from constructs import Construct


def lasting_table(scope: Construct, construct_id: str, name: str, key: str, *, protected: bool) -> dynamodb.Table:
    """
    A table with point-in-time recovery.

    Args:
        key: Its partition key.
        protected: Whether AWS refuses to delete it.
    """
    return dynamodb.Table(
        scope,
        construct_id,
        table_name=name,
        partition_key=text_key(key),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        # Written out, so that an update can switch it off: what is left out stays as it is (aws-cdk#9975).
        deletion_protection=protected,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        # A table holds nothing that is lost for ever: a deploy writes identities and routes again, looks find the rest.
        removal_policy=RemovalPolicy.DESTROY,
    )


def expiring_table(
    scope: Construct,
    construct_id: str,
    name: str,
    row: tuple[str, str, str],
    why_no_copies: str,
    *,
    protected: bool,
) -> None:
    """
    A table whose rows expire, without point-in-time recovery.

    Args:
        row: Its partition key, its sort key, and the attribute after which a row is deleted.
        protected: Whether AWS refuses to delete it.
    """
    partition, sort, expires = row
    table = dynamodb.Table(
        scope,
        construct_id,
        table_name=name,
        partition_key=text_key(partition),
        sort_key=text_key(sort),
        time_to_live_attribute=expires,
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        # Written out, so that an update can switch it off: what is left out stays as it is (aws-cdk#9975).
        deletion_protection=protected,
        removal_policy=RemovalPolicy.DESTROY,
    )
    accept(table, "AwsSolutions-DDB3", why_no_copies)


def text_key(name: str) -> dynamodb.Attribute:
    """A key that is a text."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
