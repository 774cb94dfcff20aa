"""
Names given in a template that are already taken.

MiniStack 1.5.33 overwrites a secret, table, function or role of the same name that an earlier stack has retained.

AWS fails the resource: "Resource of type '...' with identifier '...' already exists." (CloudFormation user guide,
"Troubleshooting").

It can go when a stack with a secret whose name is taken rolls back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import dynamodb, iam, lambda_svc, secretsmanager
from ministack.services.cloudformation import provisioners

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.resource_type import Created, Properties


def install() -> None:
    """Look for the name before MiniStack creates the resource."""
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
    for name, prop, store in (
        ("AWS::SecretsManager::Secret", "Name", hooks.require(secretsmanager, "_secrets")),
        ("AWS::DynamoDB::Table", "TableName", hooks.require(dynamodb, "_tables")),
        ("AWS::Lambda::Function", "FunctionName", hooks.require(lambda_svc, "_functions")),
        ("AWS::IAM::Role", "RoleName", hooks.require(iam, "_roles")),
    ):
        handlers[name]["create"] = _refuse_taken(handlers[name]["create"], name, prop, store)


def _refuse_taken(
    inner: Callable[[str, Properties, str], Created],
    type_name: str,
    prop: str,
    store: Any,
) -> Callable[[str, Properties, str], Created]:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        name = properties.get(prop)
        if name and name in store:
            raise ValueError(f"Resource of type '{type_name}' with identifier '{name}' already exists.")
        return inner(logical_id, properties, stack)

    return create
