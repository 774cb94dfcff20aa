"""The one thing this container tells Amazon DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from entrypoint.aws.secrets_manager import Connection, read_answer
from meshcert.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_TIMEOUT_S = 1.0
"""For each of credentials, signature, connection and answer, seconds; together they take tens of milliseconds."""

Value = str | int | Mapping[str, "Value"]


class PassingConnection(Connection, Protocol):
    """A connection for one request; :class:`entrypoint.aws.signed_connection.SignedConnection` in the container."""

    def close(self) -> None:
        """Give it up."""


class DynamoDb:
    """
    Writes items. Nothing is repeated here.

    Args:
        connect: Begins a connection to the region's endpoint. Each request has its own: DynamoDB closes idle ones
            sooner than the next is due. May raise ValueError if the environment names an endpoint that is none.
    """

    def __init__(self, connect: Callable[[], PassingConnection]) -> None:
        self._connect = connect

    def put(self, table: str, item: Mapping[str, Value]) -> None:
        """
        Replace an item (dynamodb:PutItem).

        Args:
            table: Its name.
            item: All attributes, the key's among them.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS says no.
            IdentityMissing: If there is no such table.
        """
        operation = "dynamodb:PutItem"
        question = {"TableName": table, "Item": {name: attribute(value) for name, value in item.items()}}
        headers = [("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", "DynamoDB_20120810.PutItem")]
        try:
            connection = self._connect()
        except ValueError as error:
            raise AwsUnavailable(operation, table, f"AWS_ENDPOINT_URL: {error}") from error
        try:
            status, body = connection.post(headers, json.dumps(question).encode(), REQUEST_TIMEOUT_S)
        except ConnectionError as error:
            raise AwsUnavailable(operation, table, str(error)) from error
        finally:
            connection.close()
        read_answer(operation, table, status, body)


def attribute(value: Value) -> dict[str, Any]:
    """A value as DynamoDB's API words it (``AttributeValue``)."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"M": {name: attribute(inner) for name, inner in value.items()}}
