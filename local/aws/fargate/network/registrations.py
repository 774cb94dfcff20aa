"""Registration of a service's ready tasks in Cloud Map and in load balancers' target groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, get_account_id, get_region, request_scope
from ministack.services import alb, ecs, servicediscovery

from local.aws import control, hooks
from local.aws.fargate.network.custom_health import CustomHealth, Instance
from local.aws.fargate.network.shared_namespaces import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import TrafficBehaviour


def _runs(record: dict[str, Any]) -> bool:
    return bool(record["lastStatus"] == "RUNNING" and record["desiredStatus"] == "RUNNING")


def announced(record: dict[str, Any]) -> bool:
    """True if clients may be sent to a task: running, to be kept, and healthy as far as it has checks."""
    return _runs(record) and (record["healthStatus"] == "HEALTHY" or not record.get("_has_health_check"))


def service_of(record: dict[str, Any]) -> dict[str, Any] | None:
    """The ECS service a task belongs to, or None."""
    kind, _, name = record.get("group", "").partition(":")
    cluster = record["clusterArn"].rsplit("/", 1)[-1]
    service: dict[str, Any] | None = ecs._services.get(f"{cluster}/{name}") if kind == "service" else None
    return service


class Registrations:
    """
    What Cloud Map knows of the tasks of one local AWS.

    An instance's effective health stands in MiniStack's ``_instance_health_status``.

    Args:
        traffic: When a task is registered, and when its health counts.
    """

    def __init__(self, traffic: TrafficBehaviour) -> None:
        self._traffic = traffic
        self._health = CustomHealth(traffic.custom_health_s * traffic.scale, _put_into_effect)

    def install(self) -> None:
        """Answer UpdateInstanceCustomHealthStatus, and let statuses take effect when it is time."""
        for name in ("_deregister_instance", "_instances", "_instance_health_status", "_services"):
            hooks.require(servicediscovery, name)
        hooks.wrap(servicediscovery, "_update_instance_custom_health_status", self._update)
        control.at_reset(self._health.forget)
        self._health.start()

    def follow(self, record: dict[str, Any]) -> None:
        """Register a task that is to be found, and tell Cloud Map how it is."""
        service = service_of(record)
        ready = announced(record)
        if service is None or not (ready or (self._traffic.registers_running and _runs(record))):
            return
        status = "HEALTHY" if ready else "UNHEALTHY"
        before, record["_told_health"] = record.get("_told_health"), status
        for arn in _cloud_map_services(service):
            if before is None:
                servicediscovery._register_instance(_registration(record, service, arn))
                if _has_custom_health(arn):
                    _put_into_effect(_named(arn, record), status)
            elif before != status and _has_custom_health(arn):
                self._health.tell(_named(arn, record), status)

    def withdraw(self, record: dict[str, Any]) -> bool:
        """
        Take a task's address out of Cloud Map.

        Returns:
            Whether clients may still hold the address: it stood in Cloud Map or behind a load balancer.
        """
        service = service_of(record)
        if service is None:
            return False
        held = bool(_groups_with(record, service))
        for arn in _cloud_map_services(service):
            if _instance(record) in (servicediscovery._instances.get_scoped(*place_of(arn)) or {}):
                held = True
                servicediscovery._deregister_instance({"ServiceId": arn, "InstanceId": _instance(record)})
        return held

    def serves_on_s(self, record: dict[str, Any], code: str) -> float:
        """
        For how long a task that is withdrawn serves on before SIGTERM, seconds. Ask before it is withdrawn.

        Args:
            code: Why it stops: its stopCode.
        """
        service = service_of(record)
        if service is None or (code == "UserInitiated" and not self._traffic.stop_task_waits):
            return 0.0
        if self._traffic.serves_on_s is not None:
            return self._traffic.serves_on_s * self._traffic.scale
        delays = [_deregistration_delay_s(group) for group in _groups_with(record, service)]
        return max(delays, default=0.0) * self._traffic.scale

    def _update(self, inner: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
        """UpdateInstanceCustomHealthStatus: it answers at once and counts later."""

        def update(request: dict[str, Any]) -> Any:
            service_id, instance_id = request.get("ServiceId", ""), request.get("InstanceId", "")
            known = servicediscovery._instances.get(service_id, {})
            found = servicediscovery._services.get(service_id)
            if found and not _has_custom_health(found["Arn"]):
                message = "The service has no HealthCheckCustomConfig."
                return error_response_json("CustomHealthNotFound", message, 404)
            if instance_id not in known or not request.get("Status"):
                return inner(request)
            scope = (get_account_id(), get_region())
            self._health.tell(Instance(scope, service_id, instance_id), request["Status"])
            return 200, {"Content-Type": "application/x-amz-json-1.1"}, b""

        return update


def _put_into_effect(instance: Instance, status: str) -> None:
    """
    Set the health of an instance, if there still is one.

    The revision stays: "The health status updates don't update InstancesRevision" (Cloud Map API, DiscoverInstances).
    """
    with request_scope(*instance.scope):
        health = servicediscovery._instance_health_status.get(instance.service_id, {})
        if instance.instance_id in health:
            health[instance.instance_id] = status


def _registration(record: dict[str, Any], service: dict[str, Any], arn: str) -> dict[str, Any]:
    """The request by which ECS registers a task."""
    attributes = {
        "AWS_INSTANCE_IPV4": ecs._task_ip(record),
        "AVAILABILITY_ZONE": record["availabilityZone"],
        "ECS_CLUSTER_NAME": record["clusterArn"].rsplit("/", 1)[-1],
        "ECS_SERVICE_NAME": service["serviceName"],
        "ECS_TASK_DEFINITION_FAMILY": record["taskDefinitionArn"].rsplit("/", 1)[-1].partition(":")[0],
    }
    return {"ServiceId": arn, "InstanceId": _instance(record), "Attributes": attributes}


def _has_custom_health(arn: str) -> bool:
    # Present but empty counts: FailureThreshold is optional, and the CDK leaves it out or sets 1.
    return (servicediscovery._services.get_scoped(*place_of(arn)) or {}).get("HealthCheckCustomConfig") is not None


def _groups_with(record: dict[str, Any], service: dict[str, Any]) -> list[str]:
    """ARNs of the target groups of its service in which a task is registered."""
    groups = [str(balancer.get("targetGroupArn")) for balancer in service.get("loadBalancers") or ()]
    address = ecs._task_ip(record)
    return [group for group in groups if any(target["Id"] == address for target in alb._targets.get(group, []))]


def _deregistration_delay_s(group: str) -> float:
    attributes = {item["Key"]: item["Value"] for item in alb._tg_attrs.get(group, [])}
    return float(attributes.get("deregistration_delay.timeout_seconds", 300))


def sync_targets(_cluster: str, service: dict[str, Any]) -> None:
    """Make a service's target groups hold its tasks from when they are ready to their stop, and no other task of it."""
    for balancer in service.get("loadBalancers") or ():
        group = balancer.get("targetGroupArn")
        if not group:
            continue
        with ecs.resource_lock("elbv2-targets", group):
            ready = [
                ecs._task_ip(record)
                for record in list(ecs._tasks.values())
                if service["status"] == "ACTIVE"
                and service_of(record) is service
                and (announced(record) or (_runs(record) and record.get("_announced")))
            ]
            ledger = service.setdefault("_published_targets", {})
            targets = [(address, balancer.get("containerPort", 80)) for address in ready]
            alb.set_targets_for_group(group, targets, ledger.get(group, ()))
            ledger[group] = ready


def _cloud_map_services(service: dict[str, Any]) -> list[str]:
    """ARNs of the Cloud Map services of a service of ECS, of whichever account."""
    return [entry["registryArn"] for entry in service.get("serviceRegistries") or ()]


def _instance(record: dict[str, Any]) -> str:
    return str(record["taskArn"].rsplit("/", 1)[-1])


def _named(arn: str, record: dict[str, Any]) -> Instance:
    account, region, service_id = place_of(arn)
    return Instance((account, region), service_id, _instance(record))
