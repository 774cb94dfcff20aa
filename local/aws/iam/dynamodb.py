"""dynamodb:LeadingKeys: the partition keys that a request names, for each table and action it is checked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ministack.services import dynamodb

if TYPE_CHECKING:
    from collections.abc import Iterator

Call = dict[str, Any]

_KEY_EQUALS = re.compile(r"(?:^|[\s(])([#\w.\-]+)\s*=\s*(:\w+)")
_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}


def leading_keys(action: str, resource_arn: str, request: Call) -> list[str]:
    """
    The values of dynamodb:LeadingKeys.

    A request whose key cannot be told (a Scan, PartiQL, a condition we cannot read) has none: a policy that guards
    with ``Null: false`` then denies it, as it denies a Scan on AWS.

    Args:
        action: What the request is checked for, without ``dynamodb:``: of a transaction the item's own action.
        resource_arn: The table or index it is checked on.

    Returns:
        The partition keys it names in that table, each once.
    """
    table, _, index = resource_arn.partition(":table/")[2].partition("/index/")
    keys = (
        _value(table, index, named) for name, did, named in _named(action, request) if (name, did) == (table, action)
    )
    return list(dict.fromkeys(key for key in keys if key is not None))


def _named(action: str, request: Call) -> Iterator[tuple[str, str, Call]]:
    """Table, action and item (or key, or the whole query) of everything that a request names."""
    for transaction in request.get("TransactItems") or ():
        for kind, detail in transaction.items():
            yield _table(detail), _TRANSACTION_ACTIONS.get(kind, kind), detail.get("Key") or detail.get("Item") or {}
    batches = request.get("RequestItems")
    for table, wanted in batches.items() if isinstance(batches, dict) else ():
        for item in wanted.get("Keys", ()) if isinstance(wanted, dict) else map(_written, wanted):
            yield table.rsplit("/", 1)[-1], action, item
    if "TableName" in request:
        yield _table(request), action, request.get("Key") or request.get("Item") or request


def _written(entry: Call) -> Call:
    item: Call = (entry.get("PutRequest") or {}).get("Item") or (entry.get("DeleteRequest") or {}).get("Key") or {}
    return item


def _table(call: Call) -> str:
    return str(call.get("TableName", "")).rsplit("/", 1)[-1]


def _value(table: str, index: str, named: Call) -> str | None:
    attribute = _partition_key(table, index)
    if attribute in named and isinstance(named[attribute], dict):
        return _plain(named[attribute])
    condition = (named.get("KeyConditions") or {}).get(attribute) or {}
    if condition.get("ComparisonOperator") == "EQ" and condition.get("AttributeValueList"):
        return _plain(condition["AttributeValueList"][0])
    names, values = named.get("ExpressionAttributeNames") or {}, named.get("ExpressionAttributeValues") or {}
    for name, placeholder in _KEY_EQUALS.findall(named.get("KeyConditionExpression") or ""):
        if names.get(name, name) == attribute and placeholder in values:
            return _plain(values[placeholder])
    return None


def _partition_key(table: str, index: str) -> str:
    found: Call = dynamodb._tables.get(table) or {}
    if index:
        indexes = [*(found.get("GlobalSecondaryIndexes") or ()), *(found.get("LocalSecondaryIndexes") or ())]
        found = next((item for item in indexes if item["IndexName"] == index), {})
    return next((str(key["AttributeName"]) for key in found.get("KeySchema", ()) if key["KeyType"] == "HASH"), "")


def _plain(value: Call) -> str:
    """``teller`` of ``{"S": "teller"}``."""
    return str(next(iter(value.values()), ""))
