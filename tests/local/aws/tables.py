"""The mesh's tables on the local DynamoDB, keyed as the stacks key them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import boto3

from meshcert.naming import LIFECYCLE_UNSETTLED

if TYPE_CHECKING:
    from local.running_aws import LocalAws


def new_lifecycle_table(aws: LocalAws) -> Any:
    """A new, empty table ``lifecycle``."""
    return _new_table(
        database(aws),
        {"name": "S", "unsettled": "S", "look_at": "N"},
        ["name"],
        GlobalSecondaryIndexes=[
            {
                "IndexName": LIFECYCLE_UNSETTLED,
                "KeySchema": _keys("unsettled", "look_at"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )


def new_acknowledgements_table(aws: LocalAws) -> tuple[Any, Any]:
    """The database, and in it a new, empty table ``acknowledgements``."""
    dynamodb = database(aws)
    return dynamodb, _new_table(dynamodb, {"service": "S", "task": "S"}, ["service", "task"])


def database(aws: LocalAws) -> Any:
    """boto3's DynamoDB resource on the local AWS."""
    environment = aws.environment()
    return boto3.resource(
        "dynamodb",
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def _new_table(dynamodb: Any, attributes: dict[str, str], keys: list[str], **more: Any) -> Any:
    return dynamodb.create_table(
        TableName=f"meshcert-color-{uuid.uuid4()}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()],
        KeySchema=_keys(*keys),
        **more,
    )


def _keys(partition: str, sort: str = "") -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return [*keys, {"AttributeName": sort, "KeyType": "RANGE"}] if sort else keys
