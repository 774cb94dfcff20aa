"""Registration of a service's ready tasks in Cloud Map and in load balancers' target groups."""

from __future__ import annotations

from typing import Any

from ministack.services import alb, ecs, servicediscovery


def announced(record: dict[str, Any]) -> bool:
    """True if clients may be sent to a task: running, to be kept, and healthy as far as it has checks."""
    return (
        record["lastStatus"] == "RUNNING"
        and record["desiredStatus"] == "RUNNING"
        and (record["healthStatus"] == "HEALTHY" or not record.get("_has_health_check"))
    )


def service_of(record: dict[str, Any]) -> dict[str, Any] | None:
    """The ECS service a task belongs to, or None."""
    kind, _, name = record.get("group", "").partition(":")
    cluster = record["clusterArn"].rsplit("/", 1)[-1]
    service: dict[str, Any] | None = ecs._services.get(f"{cluster}/{name}") if kind == "service" else None
    return service


def register(record: dict[str, Any]) -> None:
    """Register a ready task's address in its service's Cloud Map services."""
    service = service_of(record)
    if service is None:
        return
    address = ecs._task_ip(record)
    family = record["taskDefinitionArn"].rsplit("/", 1)[-1].partition(":")[0]
    for service_id in _cloud_map_services(service):
        attributes = {
            "AWS_INSTANCE_IPV4": address,
            "AVAILABILITY_ZONE": record["availabilityZone"],
            "ECS_CLUSTER_NAME": record["clusterArn"].rsplit("/", 1)[-1],
            "ECS_SERVICE_NAME": service["serviceName"],
            "ECS_TASK_DEFINITION_FAMILY": family,
        }
        servicediscovery._register_instance(
            {"ServiceId": service_id, "InstanceId": _instance(record), "Attributes": attributes},
        )


def withdraw(record: dict[str, Any]) -> bool:
    """
    Take a task's address out of Cloud Map.

    Returns:
        Whether clients may still hold the address: it stood in Cloud Map or behind a load balancer.
    """
    service = service_of(record)
    if service is None:
        return False
    held = any(
        target["Id"] == ecs._task_ip(record)
        for balancer in service.get("loadBalancers") or ()
        for target in alb._targets.get(balancer.get("targetGroupArn"), [])
    )
    for service_id in _cloud_map_services(service):
        if _instance(record) in servicediscovery._instances.get(service_id, {}):
            held = True
            servicediscovery._deregister_instance({"ServiceId": service_id, "InstanceId": _instance(record)})
    return held


def sync_targets(_cluster: str, service: dict[str, Any]) -> None:
    """Make a service's target groups hold its ready tasks and no other task of it."""
    for balancer in service.get("loadBalancers") or ():
        group = balancer.get("targetGroupArn")
        if not group:
            continue
        with ecs.resource_lock("elbv2-targets", group):
            ready = [
                ecs._task_ip(record)
                for record in list(ecs._tasks.values())
                if service["status"] == "ACTIVE" and service_of(record) is service and announced(record)
            ]
            ledger = service.setdefault("_published_targets", {})
            targets = [(address, balancer.get("containerPort", 80)) for address in ready]
            alb.set_targets_for_group(group, targets, ledger.get(group, ()))
            ledger[group] = ready


def _cloud_map_services(service: dict[str, Any]) -> list[str]:
    return [entry["registryArn"].rsplit("/", 1)[-1] for entry in service.get("serviceRegistries") or ()]


def _instance(record: dict[str, Any]) -> str:
    return str(record["taskArn"].rsplit("/", 1)[-1])
