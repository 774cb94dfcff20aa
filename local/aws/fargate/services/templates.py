"""AWS::ECS::TaskDefinition and AWS::ECS::Service in CloudFormation templates, with everything they declare."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ministack.services import ecs
from ministack.services.cloudformation import provisioners, stacks

from local.aws import hooks
from local.aws.fargate.services import service_deployments
from local.aws.fargate.services.scheduler import SCALED

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICE, _TASK_DEFINITION = "AWS::ECS::Service", "AWS::ECS::TaskDefinition"
# Free-form keys: what stands below these in a template is data, not property names.
_VERBATIM = frozenset({"Options", "DockerLabels", "DriverOpts", "Labels"})
_STEADY_STATE_DEADLINE_S = 600.0
_LOOK_AGAIN_S = 0.1


def install() -> None:
    """Replace MiniStack's provisioners: they drop nested properties, misspell volumes, and do not wait."""
    hooks.replace(provisioners, "_normalize_container_defs", camel_case)
    handlers = provisioners._RESOURCE_HANDLERS[_TASK_DEFINITION]
    handlers["create"] = _with_volumes(handlers["create"])
    for operation, replacement in (("create", _create), ("update", _update), ("delete", _delete)):
        hooks.require(provisioners, f"_ecs_service_{operation}")
        provisioners._RESOURCE_HANDLERS[_SERVICE][operation] = replacement
    # Tasks call the API while they start, so a provisioner that waits for them must not block the event loop. And an
    # update that failed because its deployment did has to be sent back: the service runs what was deployed.
    for name in ("_runs_on_worker_thread", "_sends_back_failed_update"):
        hooks.wrap(stacks, name, _or_service)


def camel_case(value: Any, *, verbatim: bool = False) -> Any:
    """
    A template's value with its property names as the ECS API spells them.

    Args:
        value: Anything a template can hold.
        verbatim: Whether its keys are data and stay as they are.
    """
    if isinstance(value, list):
        return [camel_case(item, verbatim=verbatim) for item in value]
    if isinstance(value, dict):
        return {
            name if verbatim else name[:1].lower() + name[1:]: camel_case(item, verbatim=verbatim or name in _VERBATIM)
            for name, item in value.items()
        }
    return value


def _with_volumes(inner: Callable[..., Any]) -> Callable[..., Any]:
    """MiniStack keeps a task definition's volumes in the template's spelling, in which no task finds them."""
    return lambda logical_id, properties, stack: inner(
        logical_id, {**properties, "Volumes": camel_case(properties.get("Volumes") or [])}, stack
    )


def _or_service(inner: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda resource_type: resource_type == _SERVICE or inner(resource_type)


def _create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    request = camel_case(properties)
    request.setdefault("serviceName", f"{stack}-{logical_id}")
    request.setdefault("cluster", "default")
    request["desiredCount"] = int(request.get("desiredCount", 1))
    request["tags"] = camel_case(properties.get("Tags") or [])
    service = _call(ecs._create_service, request)
    try:
        _wait_until_steady(service)
    except ValueError:
        # The engine does not know the service yet, so the rollback would leave it behind.
        _delete(service["serviceArn"], properties)
        raise
    return service["serviceArn"], _attributes(service)


def _update(physical_id: str, old: dict[str, Any], new: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
    changed = {name: new[name] for name in new if old.get(name) != new[name] and name != "Tags"}
    record = _record(physical_id)
    if record is not None and "ServiceRegistries" in changed:
        record["serviceRegistries"] = camel_case(changed["ServiceRegistries"])
    restart = any(name in changed for name in ("NetworkConfiguration", "LoadBalancers", "ServiceRegistries"))
    request = {**camel_case(changed), **_target(physical_id), "forceNewDeployment": restart}
    if "DesiredCount" in new:
        # As on AWS, whatever has changed: an update takes the number back that a scaler has set meanwhile.
        request["desiredCount"] = int(new["DesiredCount"])
    service = _call(ecs._update_service, request)
    _retag(physical_id, old, new)
    _wait_until_steady(service)
    return physical_id, _attributes(service)


def _delete(physical_id: str, properties: dict[str, Any]) -> None:
    del properties
    service = _record(physical_id)
    if service is None:
        return
    tasks = [task for task in ecs._tasks.values() if task.get("group") == f"service:{service['serviceName']}"]
    _call(ecs._delete_service, {**_target(physical_id), "force": True})
    deadline = time.monotonic() + _STEADY_STATE_DEADLINE_S
    while any(task["lastStatus"] != "STOPPED" for task in tasks) and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_S)


def _retag(arn: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Make the template's tags true again; tags that others set stay."""
    before, after = (camel_case(properties.get("Tags") or []) for properties in (old, new))
    gone = {tag["key"] for tag in before} - {tag["key"] for tag in after}
    ecs._untag_resource({"resourceArn": arn, "tagKeys": sorted(gone)})
    ecs._tag_resource({"resourceArn": arn, "tags": after})


def _wait_until_steady(service: dict[str, Any]) -> None:
    """
    CloudFormation's own rule: the resource is complete when the deployment is, and fails with it.

    A deployment that somebody else's overtook is not the end: then that one counts.
    """
    deadline = time.monotonic() + _STEADY_STATE_DEADLINE_S
    deployment_id = service["deployments"][0]["id"]
    while time.monotonic() < deadline:
        record = _record(service["serviceArn"])
        if record is None or record["status"] != "ACTIVE":
            return
        history = service_deployments.record_of(record, deployment_id) or {"status": "PENDING"}
        if history["status"] == "SUCCESSFUL":
            return
        if history["status"] in service_deployments.ENDED:
            newest = service_deployments.history(record)[0]["_deployment_id"]
            if newest == deployment_id:
                raise ValueError(
                    f"Error occurred during operation 'ECS Deployment Circuit Breaker was triggered': "
                    f"service {service['serviceName']}: {_last_reason(service)}"
                )
            deployment_id = newest
        time.sleep(_LOOK_AGAIN_S)
    raise ValueError(
        f"service {service['serviceName']} did not become steady within {_STEADY_STATE_DEADLINE_S:.0f} s: "
        f"{_last_reason(service)}"
    )


def _last_reason(service: dict[str, Any]) -> str:
    """Why the last task that stopped by itself did: what a person looks for first."""
    group = f"service:{service['serviceName']}"
    stopped = [
        task
        for task in ecs._tasks.values()
        if task.get("group") == group and task.get("stoppedAt") and not task["stoppedReason"].startswith(SCALED)
    ]
    latest = max(stopped, key=lambda task: str(task["stoppedAt"]), default=None)
    if latest is None:
        return "no task of it stopped; see the containers' logs"
    codes = {item["name"]: item.get("exitCode") for item in latest["containers"]}
    return f"the last task stopped because {latest['stoppedReason']!r}, exit codes {codes}"


def _target(physical_id: str) -> dict[str, str]:
    *_, cluster, name = physical_id.split("/")
    return {"cluster": cluster, "service": name}


def _record(physical_id: str) -> dict[str, Any] | None:
    target = _target(physical_id)
    record: dict[str, Any] | None = ecs._services.get(f"{target['cluster']}/{target['service']}")
    return record


def _attributes(service: dict[str, Any]) -> dict[str, str]:
    return {"ServiceArn": service["serviceArn"], "Name": service["serviceName"]}


def _call(operation: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> dict[str, Any]:
    status, _, body = operation(request)
    answer: dict[str, Any] = json.loads(body)
    if status >= 400:  # noqa: PLR2004 - HTTP
        raise ValueError(f"{_SERVICE}: {answer.get('message') or answer}")
    service: dict[str, Any] = answer["service"]
    return service
