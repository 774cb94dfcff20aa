"""Roles that services act in: may the service assume the role, and may the role do it?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator, responses
from ministack.services import iam as iam_service

from local.aws.iam import evaluation as iam

if TYPE_CHECKING:
    from collections.abc import Mapping


class Denied(Exception):
    """
    A service cannot do something in a role.

    Args:
        action: What it wanted to do, ``sts:AssumeRole`` if it may not even assume the role.
        message: As AWS words it.
    """

    def __init__(self, action: str, message: str) -> None:
        self.action = action
        self.message = message
        super().__init__(message)


def trusts(role_arn: str, service: str, keys: Mapping[str, str]) -> bool:
    """
    True if the role exists and its trust policy lets ``service`` assume it.

    Args:
        service: For example ``scheduler.amazonaws.com``.
        keys: Condition keys of the request, for example ``aws:SourceArn``.
    """
    roles: dict[str, dict[str, Any]] = iam_service._roles
    role = roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None or role["Arn"] != role_arn:
        return False
    document = role["AssumeRolePolicyDocument"]
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account=responses.get_account_id(),
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=responses.get_region(),
        service_context={key.lower(): value for key, value in keys.items()},
    )
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    # A trust policy has no Resource: the role itself is meant.
    whole = [{"Resource": "*", **one} for one in ([statements] if isinstance(statements, dict) else statements)]
    decision = iam_evaluator.evaluate_resource_policy({"Statement": whole}, context, service=service).decision
    return bool(decision == "Allow")


def require_rights(session: tuple[str, str, str], rights: list[tuple[str, str]], keys: Mapping[str, str]) -> None:
    """
    Make sure that a service may do all of ``rights`` in a role.

    The decisions are recorded like those of requests, because on AWS they are requests of that role's session.

    Args:
        session: The role's ARN, the session's name, and the service that assumes the role.
        rights: Pairs of action and the ARN of what it is done to.
        keys: Condition keys under which the service assumes the role.

    Raises:
        Denied: If the service may not assume the role or the role lacks a right.
    """
    role_arn, name, service = session
    if not trusts(role_arn, service, keys):
        raise Denied("sts:AssumeRole", f"{service} was unable to assume the role {role_arn}")
    key_id = iam.role_session(role_arn, name, service)["AWS_ACCESS_KEY_ID"]
    region = responses.get_region()
    for action, arn in rights:
        if iam_evaluator.enforce(key_id, action, action.partition(":")[0], region, arn) is not None:
            raise Denied(action, f"{role_arn} is not authorized to perform: {action} on resource: {arn}")


def user_id(access_key_id: str) -> str:
    """``aws:userid`` of a caller: RoleId:SessionName for a session of a role, the account's id for its root."""
    identity = iam_evaluator.resolve_caller_identity(access_key_id) or {}
    return str(identity.get("userId") or responses.get_account_id())


def user_id_of(session_arn: str) -> str:
    """``RoleId:SessionName`` of a session of a role; empty for any other ARN and for a role that is gone."""
    kind, _, rest = session_arn.partition(":assumed-role/")
    role_name, _, name = rest.rpartition("/")
    roles: dict[str, dict[str, Any]] = iam_service._roles
    role = roles.get(role_name)
    return f"{role['RoleId']}:{name}" if kind and role else ""
