"""What is written to rows that belong to a CloudFormation resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.errors import PublicationRaced

if TYPE_CHECKING:
    from collections.abc import Mapping


def set_attributes(
    table: Any, key: Mapping[str, str], values: Mapping[str, Any], resource: str, **condition: Any
) -> None:
    """
    Set attributes of a row, and leave the others in it alone.

    Args:
        table: boto3's DynamoDB ``Table``.
        key: Of the row; it is made if it is not there.
        values: By name.
        resource: For an error's message.
        condition: An attribute among ``values``, and the value that it may have now; empty text if it may be missing.

    Raises:
        PublicationRaced: If that attribute has another value, which is neither.
    """
    expected = {f":was_{name}": value for name, value in condition.items()}
    missing = {name: f"attribute_not_exists(#{name}) OR " if value == "" else "" for name, value in condition.items()}
    holds = [f"({missing[name]}#{name} IN (:{name}, :was_{name}))" for name in condition]
    with aws_errors("dynamodb:UpdateItem", resource):
        try:
            table.update_item(
                Key=key,
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()} | expected,
                **({"ConditionExpression": " AND ".join(holds)} if holds else {}),
            )
        except ClientError as exc:
            if error_code(exc) == "ConditionalCheckFailedException":
                raise PublicationRaced(resource, ", ".join(condition)) from None
            raise


def forget_owned(table: Any, key: Mapping[str, str], owner: str, resource: str) -> None:
    """
    Delete a row. Nothing happens if there is none, or if it belongs to another resource by now.

    Args:
        table: boto3's DynamoDB ``Table``.
        key: Of the row.
        owner: What its attribute ``owner`` must say.
        resource: For an error's message.
    """
    with aws_errors("dynamodb:DeleteItem", resource):
        try:
            table.delete_item(
                Key=key,
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": owner},
            )
        except ClientError as exc:
            if error_code(exc) not in {"ConditionalCheckFailedException", "ResourceNotFoundException"}:
                raise
