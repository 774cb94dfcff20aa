"""
Properties of tables and functions that templates declare.

MiniStack 1.5.33 drops a table's TimeToLiveSpecification, a function's DeadLetterConfig and its
ReservedConcurrentExecutions.

AWS applies them when the resource is created and when it is updated (CloudFormation template reference,
"AWS::DynamoDB::Table", "AWS::Lambda::Function").

It can go when GetFunctionConfiguration shows the DeadLetterConfig of a function that a template made.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import dynamodb, lambda_svc
from ministack.services.cloudformation import provisioners

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.resource_type import Created, Properties


def install() -> None:
    """Apply them after MiniStack has made the resource."""
    for name in ("_describe_ttl", "_update_ttl"):
        hooks.require(dynamodb, name)
    hooks.require(lambda_svc, "_functions")
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
    _after(handlers["AWS::DynamoDB::Table"], _set_expiry)
    _after(handlers["AWS::Lambda::Function"], _set_failure_handling)


def _after(handlers: dict[str, Any], step: Callable[[str, Properties], None]) -> None:
    """Run ``step`` with the physical id and the properties after each create and update."""
    create, update = handlers["create"], handlers["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Created:
        result: Created = create(logical_id, properties, stack)
        step(result[0], properties)
        return result

    def updated(physical_id: str, old: Properties, new: Properties, *more: Any) -> Created:
        result: Created = update(physical_id, old, new, *more)
        step(result[0], new)
        return result

    handlers["create"], handlers["update"] = created, updated


def _set_expiry(table: str, properties: Properties) -> None:
    """A template that no longer declares an expiry switches it off."""
    wanted = properties.get("TimeToLiveSpecification") or {}
    enabled = str(wanted.get("Enabled")).lower() == "true"
    now = json.loads(dynamodb._describe_ttl({"TableName": table})[2])["TimeToLiveDescription"]
    attribute = wanted.get("AttributeName") or now.get("AttributeName")
    if enabled != (now["TimeToLiveStatus"] == "ENABLED"):
        specification = {"AttributeName": attribute, "Enabled": enabled}
        dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification})


def _set_failure_handling(name: str, properties: Properties) -> None:
    function = lambda_svc._functions[name]
    function["config"]["DeadLetterConfig"] = properties.get("DeadLetterConfig") or {}
    reserved = properties.get("ReservedConcurrentExecutions")
    function["concurrency"] = None if reserved is None else int(reserved)
