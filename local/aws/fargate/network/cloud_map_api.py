"""Cloud Map's data API, DiscoverInstances and DiscoverInstancesRevision, and the HTTP names of namespaces."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from ministack.core.responses import get_account_id, get_region, json_response, request_scope
from ministack.services import servicediscovery

from local.aws import hooks
from local.aws.fargate.network.shared_namespaces import require_share
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response
    from local.aws.sharing.shares import Shares

_MOST_RESULTS = 1_000
_RESULTS = 100
_ANY_HEALTH = "ALL"


def install(shares: Shares) -> None:
    """
    Answer as Cloud Map does, in the place of MiniStack, which knows no limits, no HTTP name and no other account.

    Args:
        shares: Who may ask for what of other accounts.
    """
    for name in ("_services", "_instances", "_instance_health_status", "_instances_revision"):
        hooks.require(servicediscovery, name)
    hooks.wrap(servicediscovery, "_create_namespace_record", _with_http_name)
    hooks.replace(servicediscovery, "_discover_instances", lambda request: _answer(shares, _instances, request))
    hooks.replace(servicediscovery, "_discover_instances_revision", lambda request: _answer(shares, _revision, request))


def registered(service: dict[str, Any]) -> list[dict[str, Any]]:
    """The instances of a Cloud Map service, with the health that the API tells of each."""
    health = servicediscovery._instance_health_status.get(service["Id"], {})
    return [
        {"InstanceId": key, "Attributes": instance["Attributes"], "HealthStatus": health.get(key, "HEALTHY")}
        for key, instance in list(servicediscovery._instances.get(service["Id"], {}).items())
    ]


def _with_http_name(inner: Callable[..., tuple[dict[str, Any] | None, Any]]) -> Callable[..., Any]:
    """Give namespaces for DNS their HTTP name, too; it is their own, since MiniStack refuses a second of that name."""

    def create(name: str, *more: Any, **named: Any) -> tuple[dict[str, Any] | None, Any]:
        namespace, error = inner(name, *more, **named)
        if namespace is not None:
            namespace.setdefault("Properties", {})["HttpProperties"] = {"HttpName": name}
        return namespace, error

    return create


def _http_name(namespace: dict[str, Any]) -> str:
    return str(namespace["Properties"]["HttpProperties"]["HttpName"])


def namespace(arn: str) -> dict[str, Any] | None:
    """The namespace that an ARN names, of whichever account; None if there is none."""
    _, _, _, region, account, name = arn.split(":", 5)
    found: dict[str, Any] | None = servicediscovery._namespaces.get_scoped(account, region, name.partition("/")[2])
    return found


def _answer(
    shares: Shares, operation: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]], request: dict[str, Any]
) -> Response:
    """An operation's answer, in the account of the namespace's owner, if that is not the caller's own."""
    caller = get_account_id()
    try:
        with request_scope(request.get("OwnerAccount") or caller, get_region()):
            answer: Response = json_response(operation(request, _service(shares, caller, request)))
    except ServiceError as error:
        return error.response()
    return answer


def _is_open_to(shares: Shares, caller: str, namespace: dict[str, Any]) -> bool:
    """Whether a namespace is the caller's own or shared with it."""
    try:
        require_share(shares, caller, "DiscoverInstances", namespace["Arn"])
    except ServiceError:
        return False
    return True


def _service(shares: Shares, caller: str, request: dict[str, Any]) -> dict[str, Any]:
    namespace_name, name = request.get("NamespaceName"), request.get("ServiceName")
    if not namespace_name or not name:
        raise ServiceError("InvalidInput", "NamespaceName and ServiceName are required")
    namespaces = [each for each in servicediscovery._namespaces.values() if _is_open_to(shares, caller, each)]
    namespace = next((each for each in namespaces if _http_name(each) == namespace_name), None)
    if namespace is None:
        raise ServiceError("NamespaceNotFound", f"Namespace {namespace_name} not found")
    for service in list(servicediscovery._services.values()):
        if (service["NamespaceId"], service["Name"]) == (namespace["Id"], name):
            found: dict[str, Any] = service
            return found
    raise ServiceError("ServiceNotFound", f"Service {name} not found")


def _instances(request: dict[str, Any], service: dict[str, Any]) -> dict[str, Any]:
    most = request.get("MaxResults", _RESULTS)
    if not isinstance(most, int) or not 1 <= most <= _MOST_RESULTS:
        raise ServiceError("InvalidInput", f"MaxResults must be from 1 to {_MOST_RESULTS}")
    wanted = request.get("HealthStatus", _ANY_HEALTH)
    found = registered(service)
    if _has_health_check(service) and wanted != _ANY_HEALTH:
        healthy = [each for each in found if each["HealthStatus"] == wanted.partition("_OR_")[0]]
        found = healthy or (found if wanted == "HEALTHY_OR_ELSE_ALL" else [])
    random.shuffle(found)
    named = {"NamespaceName": request["NamespaceName"], "ServiceName": request["ServiceName"]}
    return {"Instances": [{**each, **named} for each in found[:most]], **_revision(request, service)}


def _revision(_request: dict[str, Any], service: dict[str, Any]) -> dict[str, Any]:
    return {"InstancesRevision": int(servicediscovery._instances_revision.get(service["Id"], 1))}


def _has_health_check(service: dict[str, Any]) -> bool:
    return bool(service.get("HealthCheckConfig") or service.get("HealthCheckCustomConfig"))
