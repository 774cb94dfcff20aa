"""
How large things may be, in requests and in templates, and how long the containers of a task definition may take.

MiniStack 1.5.33 takes parameters, task definitions, environments of functions and policies of any size, and secrets of
templates; of requests it limits items of DynamoDB and templates. It takes any stop timeout and any health check.

AWS has a limit for each: Systems Manager 4 KB a standard and 8 KB an advanced parameter ("Managing parameter tiers"),
Amazon ECS 64 KB a task definition ("Amazon ECS service quotas"), AWS Lambda 4 KB a function's environment ("Lambda
quotas"), IAM 10,240 characters of all inline policies of a role, 6,144 of a managed policy, white space not counted,
and ten managed policies a role ("IAM and AWS STS quotas"), Secrets Manager 65,536 bytes a value ("Secrets Manager
quotas"). A stop timeout is at most 120 s on Fargate; a health check's start period and interval are at most 300 s, its
timeout 60 s, its retries 10 (Amazon ECS API reference, "ContainerDefinition" and "HealthCheck").

It can go when RegisterTaskDefinition with more than 64 KB is refused.
"""

from __future__ import annotations

import json
import re
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json
from ministack.services import ecs, iam, lambda_svc, ssm
from ministack.services.cloudformation import provisioners

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.resource_type import Properties

    Check = Callable[[dict[str, Any]], None]

Request = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

STANDARD_PARAMETER, ADVANCED_PARAMETER = 4096, 8192
TASK_DEFINITION = SECRET = 65_536
ENVIRONMENT = 4096
STOP_TIMEOUT_S = 120
HEALTH_CHECK = {"startPeriod": 300, "interval": 300, "timeout": 60, "retries": 10}
INLINE_POLICIES, MANAGED_POLICY, MANAGED_POLICIES = 10_240, 6144, 10


class TooLargeError(ValueError):
    """
    Something is larger than AWS takes.

    Args:
        code: The error code of the operation.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def install() -> None:
    """Look at the size before MiniStack keeps the thing."""
    hooks.require(iam, "_roles")
    hooks.require(ssm, "_default_tier")
    checks: tuple[tuple[Any, str, Check], ...] = (
        (ssm, "_put_parameter", _check_parameter),
        (ecs, "_register_task_definition", _check_task_definition),
        (lambda_svc, "_create_function", _check_function),
    )
    for service, name, check in checks:
        hooks.wrap(service, name, partial(_checked, check))
    ecs._ACTION_MAP["RegisterTaskDefinition"] = ecs._register_task_definition
    hooks.wrap(lambda_svc, "_update_config", _checked_update)
    actions = hooks.require(iam, "_IAM_HANDLERS")
    queries: tuple[tuple[str, str, Check], ...] = (
        ("PutRolePolicy", "_put_role_policy", _check_inline_policy),
        ("CreatePolicy", "_create_policy", _check_managed_policy),
        ("CreatePolicyVersion", "_create_policy_version", _check_managed_policy),
        ("AttachRolePolicy", "_attach_role_policy", _check_attachment),
    )
    for action, name, check in queries:
        hooks.wrap(iam, name, partial(_checked_query, check))
        actions[action] = getattr(iam, name)
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
    for kind, check in _OF_TYPES.items():
        for operation, position in (("create", 1), ("update", 2)):
            if operation in handlers[kind]:
                handlers[kind][operation] = _provisioned(handlers[kind][operation], check, position)


def _checked(check: Callable[[Request], None], inner: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def call(request: Request) -> Response:
        try:
            check(request)
        except TooLargeError as error:
            refused: Response = error_response_json(error.code, str(error), 400)
            return refused
        return inner(request)

    return call


def _checked_update(inner: Callable[[str, Request], Response]) -> Callable[[str, Request], Response]:
    return lambda name, request: _checked(_check_function, partial(inner, name))(request)


def _checked_query(check: Callable[[Request], None], inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """For the query protocol, in which each value is a list."""

    def call(request: Any) -> Any:
        try:
            check({name: value[0] if isinstance(value, list) else value for name, value in request.items()})
        except TooLargeError as error:
            return iam._error(409, error.code, str(error))
        return inner(request)

    return call


def _provisioned(inner: Callable[..., Any], check: Callable[[Properties], None], position: int) -> Callable[..., Any]:
    """A resource's create or update handler that looks at the properties first, the argument in this position."""

    @wraps(inner)
    def provision(*arguments: Any) -> Any:
        check(arguments[position])
        return inner(*arguments)

    return provision


def _check_parameter(request: Request) -> None:
    value = str(request.get("Value", ""))
    tier = request.get("Tier") or ssm._default_tier(request, value, ssm._parameters.get(request.get("Name")))
    limit = STANDARD_PARAMETER if tier == "Standard" else ADVANCED_PARAMETER
    if len(value.encode()) > limit:
        message = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
        if tier == "Standard":
            message += " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
        raise TooLargeError("ValidationException", message)


def _check_task_definition(request: Request) -> None:
    length = len(_compact(request).encode())
    if length > TASK_DEFINITION:
        message = f"Actual length: '{length}'. Max allowed length is '{TASK_DEFINITION}' bytes."
        raise TooLargeError("ClientException", message)
    for container in _either(request, "containerDefinitions") or ():
        check = _either(container, "healthCheck") or {}
        limits = [("stopTimeout", _either(container, "stopTimeout"), STOP_TIMEOUT_S)]
        limits += [(name, _either(check, name), most) for name, most in HEALTH_CHECK.items()]
        for name, value, most in limits:
            if int(value or 0) > most:
                raise TooLargeError("ClientException", f"Container {_either(container, 'name')}: {name} > {most}.")


def _either(value: Properties, name: str) -> Any:
    """A field as requests spell it, or as templates do."""
    return value.get(name, value.get(name[0].upper() + name[1:]))


def _check_function(request: Request) -> None:
    variables = (request.get("Environment") or {}).get("Variables") or {}
    if len(_compact(variables).encode()) > ENVIRONMENT:
        message = (
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided exceeded the 4KB limit."
        )
        raise TooLargeError("InvalidParameterValueException", message)


def _check_inline_policy(request: Request) -> None:
    role = iam._roles.get(request.get("RoleName"))
    documents = {**(role["InlinePolicies"] if role else {}), request.get("PolicyName"): request.get("PolicyDocument")}
    _check_inline_policies(str(request.get("RoleName")), list(documents.values()))


def _check_inline_policies(role: str, documents: list[Any]) -> None:
    if sum(map(_characters, documents)) > INLINE_POLICIES:
        raise TooLargeError("LimitExceeded", f"Maximum policy size of {INLINE_POLICIES} bytes exceeded for role {role}")


def _check_managed_policy(request: Request) -> None:
    if _characters(request.get("PolicyDocument")) > MANAGED_POLICY:
        raise TooLargeError("LimitExceeded", f"Cannot exceed quota for PolicySize: {MANAGED_POLICY}")


def _check_attachment(request: Request) -> None:
    role = iam._roles.get(request.get("RoleName"))
    attached = {*(role["AttachedPolicies"] if role else ()), request.get("PolicyArn")}
    _check_attachments(len(attached))


def _check_attachments(number: int) -> None:
    if number > MANAGED_POLICIES:
        raise TooLargeError("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {MANAGED_POLICIES}")


def _check_role(properties: Properties) -> None:
    documents = [policy.get("PolicyDocument") for policy in properties.get("Policies") or ()]
    _check_inline_policies(str(properties.get("RoleName", "")), documents)
    _check_attachments(len(properties.get("ManagedPolicyArns") or ()))


def _check_policy_of_roles(properties: Properties) -> None:
    _check_managed_policy(properties)
    for name in properties.get("Roles") or ():
        role = iam._roles.get(name)
        _check_attachments(len(role["AttachedPolicies"]) + 1 if role else 0)


def _check_secret(properties: Properties) -> None:
    if len(str(properties.get("SecretString", "")).encode()) > SECRET:
        message = f"Value at 'secretString' must have length less than or equal to {SECRET}"
        raise TooLargeError("ValidationException", message)


def _characters(document: Any) -> int:
    """The characters of a policy as IAM counts them."""
    text = document if isinstance(document, str) else _compact(document or {})
    return len(re.sub(r"\s", "", text))


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


_OF_TYPES: dict[str, Callable[[Properties], None]] = {
    "AWS::ECS::TaskDefinition": _check_task_definition,
    "AWS::IAM::ManagedPolicy": _check_policy_of_roles,
    "AWS::IAM::Role": _check_role,
    "AWS::Lambda::Function": _check_function,
    "AWS::SecretsManager::Secret": _check_secret,
}
