"""
Secrets in templates: what ``Ref`` gives, generated values, and the policy of a secret.

MiniStack 1.5.33 gives a secret's name for ``Ref``, so that every policy written with it denies, generates nothing for
an empty GenerateSecretString, and lacks AWS::SecretsManager::ResourcePolicy.

AWS gives the ARN, generates with all defaults, and has the type (CloudFormation template reference,
"AWS::SecretsManager::Secret", "AWS::SecretsManager::ResourcePolicy").

It can go when the physical id of a secret that a template made is its ARN, and the type is known.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.patches import secrets_manager
from local.aws.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSED = 400
_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 - a type's name


def install() -> None:
    """Wrap MiniStack's type and add the policy of a secret."""
    for name in ("_put_resource_policy", "_delete_resource_policy"):
        hooks.require(secretsmanager, name)
    hooks.wrap(provisioners, "_sm_secret_string", _generated)
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
    handlers[_SECRET] = _secret_handlers(dict(handlers[_SECRET]))
    ResourceType(
        "AWS::SecretsManager::ResourcePolicy",
        create=_create_policy,
        update=_update_policy,
        delete=_delete_policy,
    ).register()


def _secret_handlers(original: dict[str, Any]) -> dict[str, Any]:
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
    def value(properties: Properties) -> str:
        if properties.get("GenerateSecretString") == {}:
            properties = {**properties, "GenerateSecretString": {"PasswordLength": 32}}
        return inner(properties)

    return value


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
