"""
ACM's service-linked role, in which it renews certificates of a CA of another account.

Source: ACM user guide, "Using a Service Linked Role (SLR) with ACM". ACM makes the role when an account first requests
a certificate from another account's CA, if the requester may make it; without it issuing works, and renewal fails with
SLR_NOT_FOUND.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import iam as iam_service

from local.aws import hooks
from local.aws.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

ACM = "acm.amazonaws.com"
# MiniStack derives a name from the service's; these are AWS's own.
_NAMES = {ACM: ("AWSServiceRoleForAcm", "AWSServiceRoleForCertificateManager")}


def install() -> None:
    """Give ACM's role the name it has on AWS, and templates the type ``AWS::IAM::ServiceLinkedRole``."""
    for name in ("_create_service_linked_role", "_delete_service_linked_role", "_roles"):
        hooks.require(iam_service, name)
    handlers = hooks.require(iam_service, "_IAM_HANDLERS")
    handlers["CreateServiceLinkedRole"] = _named(handlers["CreateServiceLinkedRole"])
    ResourceType("AWS::IAM::ServiceLinkedRole", create=_create, delete=_delete).register()


def arn_of(account: str, service: str = ACM) -> str:
    """The ARN that the role of a service has in an account."""
    return f"arn:aws:iam::{account}:role/aws-service-role/{service}/{_NAMES[service][1]}"


def exists(account: str, service: str = ACM) -> bool:
    """Whether an account has the role of a service."""
    with request_scope(account, "us-east-1"):
        return _NAMES[service][1] in iam_service._roles


def ensure(account: str, service: str = ACM) -> None:
    """Make the role of a service in an account, if it is not there."""
    with request_scope(account, "us-east-1"):
        if not exists(account, service):
            iam_service._IAM_HANDLERS["CreateServiceLinkedRole"]({"AWSServiceName": service})


def _named(inner: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """CreateServiceLinkedRole, which refuses a second role of a service."""

    def create(request: dict[str, Any]) -> Any:
        given = request.get("AWSServiceName", "")
        service = given[0] if isinstance(given, list) else given
        if service not in _NAMES:
            return inner(request)
        derived, name = _NAMES[service]
        roles: dict[str, dict[str, Any]] = iam_service._roles
        if name in roles:
            message = f"Service role name {name} has been taken in this account, please try a different suffix."
            return iam_service._error(400, "InvalidInput", message)
        status, headers, body = inner(request)
        role = roles.pop(derived)
        roles[name] = {**role, "RoleName": name, "Arn": role["Arn"].replace(derived, name)}
        return status, headers, body.replace(derived.encode(), name.encode())

    return create


def _create(_logical_id: str, properties: Properties, _stack: str) -> Created:
    service = properties["AWSServiceName"]
    status, _, body = iam_service._IAM_HANDLERS["CreateServiceLinkedRole"]({"AWSServiceName": service})
    if status != HTTPStatus.OK:
        raise ValueError(f"the service-linked role of {service} could not be created: {body.decode()}")
    name = _NAMES[service][1] if service in _NAMES else f"AWSServiceRoleFor{service.split('.')[0].capitalize()}"
    return name, {"RoleName": name}


def _delete(name: str, _properties: Properties) -> None:
    iam_service._delete_service_linked_role({"RoleName": name})
