"""The one call that this container makes to Amazon DynamoDB: replace an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from entrypoint.aws.json_api import JsonConnection, JsonService
from meshcert.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_TIMEOUT_S = 1.0
"""Longest wait for each of credentials, signature, connection and answer, seconds; all take tens of milliseconds."""

_SERVICE = JsonService("dynamodb", "DynamoDB_20120810", "1.0")

Value = str | int | Mapping[str, "Value"]


class OneRequestConnection(JsonConnection, Protocol):
    """A connection for one request; :class:`entrypoint.aws.signed_connection.SignedConnection` in the container."""

    def close(self) -> None:
        """Close it, also while it is still being made."""


class DynamoDb:
    """
    Writes items to DynamoDB, without retries.

    Args:
        connect: Begins a connection to the region's endpoint. Each request gets a new one: DynamoDB closes an idle one
            before the next request is due. May raise ValueError if the environment's endpoint is not a URL.
    """

    def __init__(self, connect: Callable[[], OneRequestConnection]) -> None:
        self._connect = connect

    def put(self, table: str, item: Mapping[str, Value]) -> None:
        """
        Replace an item (dynamodb:PutItem).

        Args:
            item: All attributes, including the key.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS refuses.
            IdentityMissing: If there is no such table.
        """
        try:
            connection = self._connect()
        except ValueError as error:
            raise AwsUnavailable("dynamodb:PutItem", table, f"AWS_ENDPOINT_URL: {error}") from error
        try:
            question = {"TableName": table, "Item": {name: attribute(value) for name, value in item.items()}}
            _SERVICE.call(connection, "PutItem", table, question, REQUEST_TIMEOUT_S)
        finally:
            connection.close()


def attribute(value: Value) -> dict[str, Any]:
    """A value in the form of DynamoDB's API (``AttributeValue``)."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"M": {name: attribute(inner) for name, inner in value.items()}}
