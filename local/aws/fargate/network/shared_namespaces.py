"""
Cloud Map namespaces of other accounts: who may use them, and whose is what is made there.

What is made in a shared namespace lies in its owner's account, with ``CreatedByAccount``. Sources: Cloud Map API
reference, "CreateService" ("For namespaces shared with your Amazon Web Services account, specify the namespace ARN");
developer guide, "Shared AWS Cloud Map namespaces"; ECS developer guide, "Troubleshooting Amazon ECS Service Connect
with shared AWS Cloud Map namespaces" (the words of a refusal).
"""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import servicediscovery
from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response
    from local.aws.sharing.shares import Shares

    Handler = Callable[[dict[str, Any]], Response]

# What an operation is asked about: by a namespace, or by a service in one.
_OF_NAMESPACES = {"CreateService": "NamespaceId", "GetNamespace": "Id"}
_OF_SERVICES = {
    "DeleteService": "Id",
    "DeregisterInstance": "ServiceId",
    "GetService": "Id",
    "ListInstances": "ServiceId",
    "RegisterInstance": "ServiceId",
    "UpdateInstanceCustomHealthStatus": "ServiceId",
    "UpdateService": "Id",
}
_MADE = "AWS::ServiceDiscovery::Service"
_OWNED_BY = "ResourceOwner"


def install(shares: Shares) -> None:
    """
    Take ARNs where Cloud Map does, and refuse what is another account's and not shared.

    Install it after whatever else replaces these operations: they then see ids, in the owner's account.
    """
    for operation, field in {**_OF_NAMESPACES, **_OF_SERVICES}.items():
        name = "_" + "".join(f"_{each.lower()}" if each.isupper() else each for each in operation).lstrip("_")
        hooks.wrap(servicediscovery, name, partial(_by_arn, shares, operation, field))
    hooks.wrap(servicediscovery, "_list_services", lambda inner: lambda request: _listed(shares, inner, request))
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")[_MADE]
    for verb in ("create", "update", "delete"):
        handlers[verb] = _provisioned(shares, verb, handlers[verb])


def place_of(arn: str) -> tuple[str, str, str]:
    """Account, region and id that the ARN of a namespace or service names."""
    _, _, _, region, account, resource = arn.split(":", 5)
    return account, region, resource.rpartition("/")[2]


def require_share(shares: Shares, caller: str, action: str, namespace: str) -> None:
    """
    Refuse what a namespace's owner does not let the caller do with it.

    Args:
        action: Cloud Map's, for example ``CreateService``.
        namespace: ARN.

    Raises:
        ServiceError: If it is another account's, and not shared for that.
    """
    if caller == namespace.split(":")[4]:
        return
    for statement in shares.statements_on(namespace):
        principals, actions = statement["Principal"]["AWS"], statement["Action"]
        if f"arn:aws:iam::{caller}:root" in principals and f"servicediscovery:{action}" in actions:
            return
    raise ServiceError(
        "AccessDeniedException",
        f"User: arn:aws:iam::{caller}:root is not authorized to perform: servicediscovery:{action} on resource: "
        f"{namespace} because no resource-based policy allows the servicediscovery:{action} action",
    )


def _by_arn(shares: Shares, operation: str, field: str, inner: Handler) -> Handler:
    def answer(request: dict[str, Any]) -> Response:
        named, caller = str(request.get(field) or ""), get_account_id()
        if not named.startswith("arn:"):
            return inner(request)
        owner, region, resource = place_of(named)
        try:
            require_share(shares, caller, operation, _namespace_of(named))
            _require_no_tags(request.get("Tags") if owner != caller else None)
        except ServiceError as error:
            return error.response()
        with request_scope(owner, region):
            answered = inner({**request, field: resource})
            if operation == "CreateService" and answered[0] == HTTPStatus.OK:
                return _created_by(caller, owner, answered)
        return answered

    return answer


def _require_no_tags(tags: list[dict[str, str]] | None) -> None:
    """CloudFormation's own are no caller's: whether Cloud Map is given them is not known."""
    if any(not tag["Key"].startswith("aws:") for tag in tags or ()):
        raise ServiceError("InvalidInput", "Tagging isn't supported for shared namespaces")


def _namespace_of(arn: str) -> str:
    """The ARN of the namespace that an ARN names, or that its service is in; the ARN itself if there is no such."""
    owner, region, resource = place_of(arn)
    service = servicediscovery._services.get_scoped(owner, region, resource)
    if service is None:
        return arn
    return str(servicediscovery._namespaces.get_scoped(owner, region, service["NamespaceId"])["Arn"])


def _created_by(caller: str, owner: str, answer: Response) -> Response:
    """The answer to CreateService with both accounts, which the service keeps."""
    status, headers, body = answer
    made = servicediscovery._services[json.loads(body)["Service"]["Id"]]
    made.update({_OWNED_BY: owner, "CreatedByAccount": caller})
    return status, headers, json.dumps({"Service": made}).encode()


def _listed(shares: Shares, inner: Handler, request: dict[str, Any]) -> Response:
    """ListServices: of a namespace that a filter names, of whichever account; else the account's own."""
    values = [each["Values"][0] for each in request.get("Filters") or () if each.get("Name") == "NAMESPACE_ID"]
    if not values:
        return inner(request)
    arn, caller = values[0], get_account_id()
    owner, region, resource = place_of(arn) if arn.startswith("arn:") else (caller, get_region(), arn)
    try:
        require_share(shares, caller, "ListServices", arn if owner != caller else f":::{region}:{caller}:")
    except ServiceError as error:
        return error.response()
    with request_scope(owner, region):
        status, headers, body = inner(request)
    found = [each for each in json.loads(body)["Services"] if each["NamespaceId"] == resource]
    return status, headers, json.dumps({"Services": found}).encode()


def _provisioned(shares: Shares, verb: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """A step of CloudFormation's with a service: in a shared namespace, in its owner's account."""

    def step(*arguments: Any, **named: Any) -> Any:
        of_service = [each for each in arguments if isinstance(each, dict)]
        arn = next((arn for arn in map(_shared, of_service) if arn), "")
        if not arn:
            return inner(*arguments, **named)
        caller, (owner, region, _) = get_account_id(), place_of(arn)
        require_share(shares, caller, f"{verb.title()}Service", arn)
        for each in of_service:
            _require_no_tags(each.get("Tags") if owner != caller else None)
        with request_scope(owner, region):
            made = inner(*(_by_id(each) if isinstance(each, dict) else each for each in arguments), **named)
            if verb == "create":
                servicediscovery._services[made[0]].update({_OWNED_BY: owner, "CreatedByAccount": caller})
        return made

    return step


def _shared(properties: dict[str, Any]) -> str:
    """The ARN by which a service's properties name their namespace; empty if they name its id."""
    named = str(properties.get("NamespaceId") or (properties.get("DnsConfig") or {}).get("NamespaceId") or "")
    return named if named.startswith("arn:") else ""


def _by_id(properties: dict[str, Any]) -> dict[str, Any]:
    """A service's properties, with the id of the namespace that they name."""
    _, _, namespace = place_of(_shared(properties)) if _shared(properties) else ("", "", "")
    if not namespace:
        return properties
    dns = properties.get("DnsConfig")
    with_dns = {"DnsConfig": {**dns, "NamespaceId": namespace}} if dns and dns.get("NamespaceId") else {}
    return {**properties, "NamespaceId": namespace, **with_dns, "Tags": []}
