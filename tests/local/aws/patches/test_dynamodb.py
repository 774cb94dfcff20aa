"""DynamoDB as the lifecycle uses it: rows fenced by their key, a sparse index, rows that expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws import stacks
from tests.local.aws.refusals import is_allowed
from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws

TABLE = "acknowledgements"
OTHER = "other"
ACTIONS = ("PutItem", "UpdateItem", "GetItem", "DeleteItem", "Query", "Scan", "BatchWriteItem", "BatchGetItem")


def key(service: str) -> dict[str, Any]:
    """A row's key."""
    return {"service": {"S": service}, "task": {"S": "one"}}


def make_table(aws: LocalAws, name: str) -> str:
    """A table of acknowledgements with an index by task; returns its ARN."""
    definitions = [{"AttributeName": attribute, "AttributeType": "S"} for attribute in ("service", "task")]
    by_task = {
        "IndexName": "by-task",
        "KeySchema": [{"AttributeName": "task", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    answer = aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=definitions,
        KeySchema=[
            {"AttributeName": "service", "KeyType": "HASH"},
            {"AttributeName": "task", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[by_task],
    )
    return str(answer["TableDescription"]["TableArn"])


@pytest.fixture
def as_teller(fresh_aws: LocalAws) -> Any:
    """A client of a task role that may touch rows of the service ``teller`` only, in two tables."""
    tables = [make_table(fresh_aws, name) for name in (TABLE, OTHER)]
    condition = {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["teller"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    statement = {
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in (*ACTIONS, "ConditionCheckItem")],
        "Resource": [*tables, *(f"{arn}/index/*" for arn in tables)],
        "Condition": condition,
    }
    return fresh_aws.client_as(new_role(fresh_aws, "teller", [statement]), "dynamodb")


def batch_of(*names: str) -> dict[str, Any]:
    """BatchWriteItem's requests to put these services' rows."""
    return {TABLE: [{"PutRequest": {"Item": key(name)}} for name in names]}


def puts_and(kind: str, name: str) -> list[dict[str, Any]]:
    """A transaction that puts an own row and does something to a service's row of the other table."""
    detail: dict[str, Any] = {"TableName": OTHER, "Key": key(name)}
    if kind == "Put":
        detail = {"TableName": OTHER, "Item": key(name)}
    if kind == "Update":
        detail |= {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "x"}}}
    if kind == "ConditionCheck":
        detail |= {"ConditionExpression": "attribute_not_exists(absent)"}
    return [{"Put": {"TableName": TABLE, "Item": key("teller")}}, {kind: detail}]


def by_service(name: str) -> dict[str, Any]:
    """A query by partition key with a name that has to be looked up."""
    return {
        "TableName": TABLE,
        "KeyConditionExpression": "#s = :s AND begins_with(task, :t)",
        "ExpressionAttributeNames": {"#s": "service"},
        "ExpressionAttributeValues": {":s": {"S": name}, ":t": {"S": "o"}},
    }


CALLS: dict[str, Callable[[Any, str], bool]] = {
    "put": lambda table, name: is_allowed(table.put_item, TableName=TABLE, Item=key(name)),
    "update": lambda table, name: is_allowed(table.update_item, TableName=TABLE, Key=key(name)),
    "get": lambda table, name: is_allowed(table.get_item, TableName=TABLE, Key=key(name)),
    "delete": lambda table, name: is_allowed(table.delete_item, TableName=TABLE, Key=key(name)),
    "query": lambda table, name: is_allowed(table.query, **by_service(name)),
    "query by old conditions": lambda table, name: is_allowed(
        table.query,
        TableName=TABLE,
        KeyConditions={"service": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": name}]}},
    ),
    "batch write": lambda table, name: is_allowed(table.batch_write_item, RequestItems=batch_of(name)),
    "batch get": lambda table, name: is_allowed(table.batch_get_item, RequestItems={TABLE: {"Keys": [key(name)]}}),
    "transact put": lambda table, name: is_allowed(table.transact_write_items, TransactItems=puts_and("Put", name)),
    "transact update": lambda table, name: is_allowed(
        table.transact_write_items, TransactItems=puts_and("Update", name)
    ),
    "transact delete": lambda table, name: is_allowed(
        table.transact_write_items, TransactItems=puts_and("Delete", name)
    ),
    "transact check": lambda table, name: is_allowed(
        table.transact_write_items, TransactItems=puts_and("ConditionCheck", name)
    ),
    "transact get": lambda table, name: is_allowed(
        table.transact_get_items, TransactItems=[{"Get": {"TableName": TABLE, "Key": key(name)}}]
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_row_is_touched_only_by_the_service_whose_name_it_bears(as_teller: Any, call: str) -> None:
    """dynamodb:LeadingKeys is told of every request that names rows, whichever way."""
    assert [CALLS[call](as_teller, name) for name in ("teller", "gateway")] == [True, False]


def test_one_foreign_row_spoils_a_batch(as_teller: Any) -> None:
    """Every key of a batch counts, in each of its tables."""
    mixed = batch_of("teller", "gateway")
    two_tables = {**batch_of("teller"), OTHER: [{"DeleteRequest": {"Key": key("gateway")}}]}

    assert not is_allowed(as_teller.batch_write_item, RequestItems=mixed)
    assert not is_allowed(as_teller.batch_write_item, RequestItems=two_tables)


def test_a_request_without_a_key_is_denied_by_the_null_guard(as_teller: Any) -> None:
    """A Scan has no leading keys; an index's leading key is its own partition key."""
    by_task = {
        "TableName": TABLE,
        "IndexName": "by-task",
        "KeyConditionExpression": "task = :t",
    }

    assert not is_allowed(as_teller.scan, TableName=TABLE)
    assert not is_allowed(as_teller.query, **by_task, ExpressionAttributeValues={":t": {"S": "one"}})
    assert is_allowed(as_teller.query, **by_task, ExpressionAttributeValues={":t": {"S": "teller"}})


def test_a_sparse_index_gives_the_keys_of_what_is_due_in_order(fresh_aws: LocalAws) -> None:
    """A KEYS_ONLY index with a numeric sort key, from a template; rows without its partition key are not in it."""
    unsettled = {
        "IndexName": "unsettled",
        "KeySchema": [
            {"AttributeName": "unsettled", "KeyType": "HASH"},
            {"AttributeName": "look_at", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    types = {"name": "S", "unsettled": "S", "look_at": "N"}
    definitions = [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]
    properties = {
        "TableName": "lifecycle",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": definitions,
        "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [unsettled],
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
    }
    stacks.deploy(fresh_aws, "stack", {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}})
    dynamodb = fresh_aws.client("dynamodb")
    # As text 9 would come after 10 and 1000.
    for name, look_at in (("b", "10"), ("a", "9"), ("late", "1000"), ("settled", "")):
        item = {"name": {"S": name}, "memory": {"S": "kept out of the index"}}
        sparse = {"unsettled": {"S": "yes"}, "look_at": {"N": look_at}} if look_at else {}
        dynamodb.put_item(TableName="lifecycle", Item=item | sparse)
    query = {
        "TableName": "lifecycle",
        "IndexName": "unsettled",
        "KeyConditionExpression": "unsettled = :yes AND look_at <= :now",
        "ExpressionAttributeValues": {":yes": {"S": "yes"}, ":now": {"N": "100"}},
    }

    first = dynamodb.query(**query, Limit=1)
    rest = dynamodb.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])

    yes = {"unsettled": {"S": "yes"}}
    assert first["Items"] == [{"name": {"S": "a"}, "look_at": {"N": "9"}, **yes}]
    assert rest["Items"] == [{"name": {"S": "b"}, "look_at": {"N": "10"}, **yes}]
    expiry = dynamodb.describe_time_to_live(TableName="lifecycle")["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_expiry_leaves_with_the_template_property(fresh_aws: LocalAws) -> None:
    """TimeToLiveSpecification can be added to a table that lives, and is switched off when the template drops it."""
    properties: dict[str, Any] = {
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "service", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "service", "KeyType": "HASH"}],
    }
    states = []
    for more in ({}, {"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True}}, {}):
        table = {"Type": "AWS::DynamoDB::Table", "Properties": properties | more}
        stacks.deploy(fresh_aws, "stack", {"Table": table, "Other": {"Type": "AWS::SNS::Topic", "Properties": {}}})
        described = fresh_aws.client("dynamodb").describe_time_to_live(TableName=TABLE)
        states.append(described["TimeToLiveDescription"]["TimeToLiveStatus"])

    assert states == ["DISABLED", "ENABLED", "DISABLED"]
