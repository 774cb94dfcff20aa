"""What is written to rows that belong to a CloudFormation resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.errors import AwsUnavailable, PublicationRaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_PAGES = 200


def set_attributes(
    table: Any, key: Mapping[str, str], values: Mapping[str, Any], resource: str, before: tuple[str, str] | None = None
) -> None:
    """
    Set attributes of a row, and leave the others in it alone.

    Args:
        table: boto3's DynamoDB ``Table``.
        key: Of the row; it is made if it is not there.
        values: By name.
        resource: For an error's message.
        before: An attribute among ``values``, and the text that it may have now; an empty one if it may be missing.

    Raises:
        PublicationRaced: If that attribute has another value, which is neither.
    """
    expected, condition = {}, {}
    if before:
        name, text = before
        missing = "" if text else f"attribute_not_exists(#{name}) OR "
        expected = {":before": text}
        condition = {"ConditionExpression": f"{missing}#{name} IN (:{name}, :before)"}
    with aws_errors("dynamodb:UpdateItem", resource):
        try:
            table.update_item(
                Key=key,
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()} | expected,
                **condition,
            )
        except ClientError as exc:
            if error_code(exc) == "ConditionalCheckFailedException":
                raise PublicationRaced(resource, before[0] if before else "") from None
            raise


def every_row(table: Any, resource: str, **question: Any) -> Iterator[dict[str, Any]]:
    """
    The rows of a table, page by page of 1 MB.

    Args:
        table: boto3's DynamoDB ``Table``.
        resource: For an error's message.
        question: Further parameters of Scan.

    Raises:
        AwsUnavailable: If the pages do not end: 200 MB are more than any mesh writes.
        MeshcertError: If the table cannot be read.
    """
    for _ in range(_MOST_PAGES):
        with aws_errors("dynamodb:Scan", resource):
            answer = table.scan(**question)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    raise AwsUnavailable("dynamodb:Scan", resource, f"more than {_MOST_PAGES} pages")


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
