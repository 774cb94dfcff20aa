"""The two calls that this container makes to Amazon DynamoDB: replace an item, and read one."""

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
    Writes and reads items of DynamoDB, without retries.

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
        self._ask("PutItem", table, {"Item": {name: attribute(value) for name, value in item.items()}})

    def get(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
        """
        Read an item as it is now (dynamodb:GetItem, a consistent read).

        Returns:
            Its attributes, of which only texts, numbers and maps are read; None if there is no such item.

        Raises:
            AwsUnavailable: If AWS cannot answer now, or not as DynamoDB does.
            AwsRefused: If AWS refuses.
            IdentityMissing: If there is no such table.
        """
        key_of_item = {name: attribute(value) for name, value in key.items()}
        item = self._ask("GetItem", table, {"Key": key_of_item, "ConsistentRead": True}).get("Item")
        if item is None:
            return None
        try:
            return {name: plain_value(value) for name, value in item.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise AwsUnavailable("dynamodb:GetItem", table, "the answer is no item") from error

    def _ask(self, operation: str, table: str, question: dict[str, Any]) -> dict[str, Any]:
        try:
            connection = self._connect()
        except ValueError as error:
            raise AwsUnavailable(f"dynamodb:{operation}", table, f"AWS_ENDPOINT_URL: {error}") from error
        try:
            return _SERVICE.call(connection, operation, table, {"TableName": table, **question}, REQUEST_TIMEOUT_S)
        finally:
            connection.close()


def attribute(value: Value) -> dict[str, Any]:
    """A value in the form of DynamoDB's API (``AttributeValue``)."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"M": {name: attribute(inner) for name, inner in value.items()}}


def plain_value(value: Mapping[str, Any]) -> Any:
    """
    The value of DynamoDB's ``AttributeValue``; None for a kind that no row of ours has.

    Raises:
        AttributeError, TypeError, ValueError: If it has not the form of one.
    """
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return content
        case "N":
            return int(content)
        case "M":
            return {name: plain_value(inner) for name, inner in content.items()}
        case _:
            return None
