"""Secrets, tables, functions and roles: what MiniStack's CloudFormation drops, and names that are already taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import dynamodb, iam, lambda_svc, secretsmanager
from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.patches import secrets_manager
from local.aws.patches.cloudformation.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSED = 400
_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 - a type's name
_TABLE = "AWS::DynamoDB::Table"
_FUNCTION = "AWS::Lambda::Function"


def install() -> None:
    """Wrap MiniStack's own types and add the policy of a secret."""
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
    for name in ("_put_resource_policy", "_delete_resource_policy"):
        hooks.require(secretsmanager, name)
    for name in ("_describe_ttl", "_update_ttl"):
        hooks.require(dynamodb, name)
    hooks.wrap(provisioners, "_sm_secret_string", _generated)
    handlers[_SECRET] = _secret_handlers(dict(handlers[_SECRET]))
    _after(handlers[_TABLE], _set_expiry)
    _after(handlers[_FUNCTION], _set_failure_handling)
    for name, prop, store in (
        (_SECRET, "Name", hooks.require(secretsmanager, "_secrets")),
        (_TABLE, "TableName", hooks.require(dynamodb, "_tables")),
        (_FUNCTION, "FunctionName", hooks.require(lambda_svc, "_functions")),
        ("AWS::IAM::Role", "RoleName", hooks.require(iam, "_roles")),
    ):
        handlers[name]["create"] = _refuse_taken(handlers[name]["create"], name, prop, store)
    ResourceType(
        "AWS::SecretsManager::ResourcePolicy",
        create=_create_policy,
        update=_update_policy,
        delete=_delete_policy,
        replacing=("SecretId",),
    ).register()


def _refuse_taken(
    inner: Callable[[str, Properties, str], Created],
    type_name: str,
    prop: str,
    store: Any,
) -> Callable[[str, Properties, str], Created]:
    """A name given in the template must be free: what an earlier stack retained is not silently overwritten."""

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        name = properties.get(prop)
        if name and name in store:
            raise ValueError(f"Resource of type '{type_name}' with identifier '{name}' already exists.")
        return inner(logical_id, properties, stack)

    return create


def _secret_handlers(original: dict[str, Any]) -> dict[str, Any]:
    """``Ref`` of a secret is its ARN; MiniStack gives its name, and every policy written with it denies."""

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        _, attributes = original["create"](logical_id, properties, stack)
        return attributes["Arn"], attributes

    def update(arn: str, old: Properties, new: Properties, stack: str, logical_id: str | None = None) -> Created:
        _, attributes = original["update"](_secret_name(arn), old, new, stack, logical_id)
        return attributes["Arn"], attributes

    def delete(arn: str, properties: Properties) -> None:
        original["delete"](_secret_name(arn), properties)

    return {**original, "create": create, "update": update, "delete": delete}


def _secret_name(arn: str) -> str:
    secret = secrets_manager.find(arn)
    return str(secret["Name"]) if secret else arn


def _generated(inner: Callable[[Properties], str]) -> Callable[[Properties], str]:
    """``GenerateSecretString: {}`` asks for a value with all the defaults, not for none."""

    def value(properties: Properties) -> str:
        if properties.get("GenerateSecretString") == {}:
            properties = {**properties, "GenerateSecretString": {"PasswordLength": 32}}
        return inner(properties)

    return value


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
    """MiniStack drops TimeToLiveSpecification; a template that drops it switches the expiry off."""
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


def _create_policy(_logical_id: str, properties: Properties, _stack: str) -> Created:
    policy = properties["ResourcePolicy"]
    text = policy if isinstance(policy, str) else json.dumps(policy)
    answer = secretsmanager._put_resource_policy({"SecretId": properties["SecretId"], "ResourcePolicy": text})
    status, _, body = answer
    if status >= _REFUSED:
        raise ValueError(body.decode() if isinstance(body, bytes) else str(body))
    return str(json.loads(body)["ARN"]), {"Id": json.loads(body)["ARN"]}


def _update_policy(_physical_id: str, _old: Properties, new: Properties, stack: str) -> Created:
    return _create_policy("", new, stack)


def _delete_policy(_physical_id: str, properties: Properties) -> None:
    if secrets_manager.find(properties["SecretId"]):
        secretsmanager._delete_resource_policy({"SecretId": properties["SecretId"]})
