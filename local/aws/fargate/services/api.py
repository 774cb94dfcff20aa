"""ECS's API for services where MiniStack's differs from AWS: deployments and their history, tags, times."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import ecs

from local.aws import hooks
from local.aws.fargate.services import circuit_breaker, service_deployments

if TYPE_CHECKING:
    from collections.abc import Callable

    Operation = Callable[[dict[str, Any]], Any]

Record = dict[str, Any]

MOST_DESCRIBED = {"DescribeServices": ("services", 10), "DescribeTasks": ("tasks", 100)}
"""What one call may name (Amazon ECS API reference)."""
_OK = 200
_PAGE, _LONGEST_PAGE, _MOST_ARNS = 20, 100, 20
_DIGITS = 19


def install() -> None:
    """Wrap what starts deployments, and answer what MiniStack leaves empty."""
    for name in ("_primary_deployment", "_resolve_service_ref", "_tag_resource", "_tags", "_untag_resource"):
        hooks.require(ecs, name)
    hooks.replace(ecs, "_ts_to_epoch", _epoch)
    hooks.wrap(ecs, "_refresh_service_state", _one_at_a_time)
    hooks.wrap(ecs, "_make_deployment", _in_progress)
    hooks.wrap(ecs, "_create_service", _create)
    hooks.wrap(ecs, "_update_service", _update)
    hooks.replace(ecs, "_list_service_deployments", _list_deployments)
    hooks.replace(ecs, "_describe_service_deployments", _describe_deployments)
    actions = hooks.require(ecs, "_ACTION_MAP")
    actions["CreateService"] = ecs._create_service
    actions["UpdateService"] = ecs._update_service
    for name, (field, most) in MOST_DESCRIBED.items():
        actions[name] = _limited(actions[name], field, most)
    actions["ListServiceDeployments"] = ecs._list_service_deployments
    actions["DescribeServiceDeployments"] = ecs._describe_service_deployments


def _limited(inner: Operation, field: str, most: int) -> Operation:
    def describe(request: dict[str, Any]) -> Any:
        if len(request.get(field) or ()) > most:
            message = f"{field.capitalize()} cannot be more than {most}."
            return error_response_json("InvalidParameterException", message, 400)
        return inner(request)

    return describe


def _epoch(value: Any) -> Any:
    """ECS's times have milliseconds; MiniStack cuts them to seconds, and two deployments in one look equally old."""
    try:
        return round(dt.datetime.fromisoformat(value).timestamp(), 3)
    except (TypeError, ValueError):
        return value


def _one_at_a_time(inner: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """It replaces the list of deployments: one that UpdateService adds at that moment must not get lost."""

    def refresh(cluster: str, group: str) -> None:
        with ecs.resource_lock("ecs-service", f"{cluster}/{(group or '').removeprefix('service:')}"):
            inner(cluster, group)

    return refresh


def _in_progress(inner: Callable[..., Record]) -> Callable[..., Record]:
    """A deployment begins IN_PROGRESS, the first one too; MiniStack calls that one completed."""

    def make(*arguments: Any, **options: Any) -> Record:
        deployment = inner(*arguments, **options)
        number = str(secrets.randbelow(9 * 10 ** (_DIGITS - 1)) + 10 ** (_DIGITS - 1))
        deployment.update(id=f"ecs-svc/{number}", rolloutState="IN_PROGRESS")
        return {**deployment, "rolloutStateReason": circuit_breaker.in_progress(deployment)}

    return make


def _create(inner: Operation) -> Operation:
    """Tags are told when they are asked for, and only then."""

    def create(request: Record) -> Any:
        answer = inner(request)
        service = _service(request.get("cluster"), request.get("serviceName"))
        if answer[0] == _OK and service is not None:
            service.pop("tags", None)
            service_deployments.note(service)
        return answer

    return create


def _update(inner: Operation) -> Operation:
    """UpdateService tells of the deployment that it starts, and starts none for a service that was deleted."""

    def update(request: Record) -> Any:
        service = _service(request.get("cluster"), request.get("service"))
        if service is None:
            return inner(request)
        if service["status"] != "ACTIVE":
            return error_response_json("ServiceNotActiveException", "Service was not ACTIVE.", 400)
        with ecs.resource_lock("ecs-service", circuit_breaker.key_of(service)):
            answer = inner(request)
            newest = ecs._primary_deployment(service)
            if newest is not None and not newest["rolloutStateReason"]:
                newest["rolloutStateReason"] = circuit_breaker.in_progress(newest)
        if answer[0] != _OK:
            return answer
        service_deployments.note(service)
        return json_response({"service": ecs._sanitize(service)})

    return update


def _list_deployments(request: Record) -> Any:
    cluster = ecs._resolve_cluster_name(request.get("cluster") or _cluster_in(request.get("service", "")))
    if cluster not in ecs._clusters:
        return error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
    service = _service(cluster, request.get("service"))
    if service is None or service["status"] != "ACTIVE":
        return error_response_json("ServiceNotFoundException", "Service not found.", 400)
    wanted = set(request.get("status") or ())
    created = request.get("createdAt") or {}
    after, before = float(created.get("after", 0)), float(created.get("before", "inf"))
    found = [
        service_deployments.brief(record)
        for record in service_deployments.history(service)
        if after <= record["createdAt"] <= before and (not wanted or record["status"] in wanted)
    ]
    size = int(request.get("maxResults") or _PAGE)
    if not 1 <= size <= _LONGEST_PAGE:
        message = f"maxResults must be between 1 and {_LONGEST_PAGE}."
        return error_response_json("InvalidParameterException", message, 400)
    start = int(request.get("nextToken") or 0)
    answer: Record = {"serviceDeployments": found[start : start + size]}
    if start + size < len(found):
        answer["nextToken"] = str(start + size)
    return json_response(answer)


def _describe_deployments(request: Record) -> Any:
    arns = request.get("serviceDeploymentArns") or []
    if not 1 <= len(arns) <= _MOST_ARNS:
        message = f"1 to {_MOST_ARNS} service deployments can be described at once."
        return error_response_json("InvalidParameterException", message, 400)
    known = {
        record["serviceDeploymentArn"]: service_deployments.whole(service, record)
        for service in list(ecs._services.values())
        for record in service_deployments.history(service)
    }
    found = [ecs._sanitize(known[arn]) for arn in arns if arn in known]
    failures = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]
    return json_response({"serviceDeployments": found, "failures": failures})


def _service(cluster: str | None, reference: str | None) -> Record | None:
    """MiniStack's record of the service that a request names by name or ARN, or None."""
    resolved = ecs._resolve_service_ref(reference or "")
    if resolved is None:
        return None
    name, named_cluster = resolved
    record: Record | None = ecs._services.get(f"{ecs._resolve_cluster_name(cluster or named_cluster)}/{name}")
    return record


def _cluster_in(reference: str) -> str | None:
    resolved = ecs._resolve_service_ref(reference)
    cluster: str | None = resolved[1] if resolved else None
    return cluster
