"""ECS's deployment circuit breaker: the count of failed tasks, the end of a deployment, and the rollback."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import ecs

from local.aws.fargate.network import registrations

Record = dict[str, Any]

_TRIPPED = "ECS deployment circuit breaker: tasks failed to start."
_ROLLING_BACK = "ECS deployment circuit breaker: rolling back to deploymentId {id}."


def key_of(service: Record) -> str:
    """The key of a service in MiniStack's store, and of the lock that guards its deployments."""
    return f"{service['clusterArn'].rsplit('/', 1)[-1]}/{service['serviceName']}"


def settings(service: Record) -> Record:
    """A service's ``deploymentCircuitBreaker``, empty if it declares none."""
    breaker: Record = (service.get("deploymentConfiguration") or {}).get("deploymentCircuitBreaker") or {}
    return breaker


def in_progress(deployment: Record) -> str:
    """The rolloutStateReason of a deployment that runs."""
    return f"ECS deployment {deployment['id']} in progress."


def note_failure(task: Record) -> None:
    """
    Count a task that failed to start or failed its health checks; the last one that is endured trips the breaker.

    Failures count with and without a breaker, and only while their deployment is the newest and in progress.

    Args:
        task: MiniStack's record of the task.
    """
    service = registrations.service_of(task)
    if service is None:
        return
    with ecs.resource_lock("ecs-service", key_of(service)):
        deployment = ecs._deployment_for_task(service, task)
        running = deployment is not None and deployment["rolloutState"] == "IN_PROGRESS"
        if not running or deployment is not ecs._primary_deployment(service):
            return
        deployment["failedTasks"] = int(deployment.get("failedTasks", 0)) + 1
        deployment["updatedAt"] = now_iso()
        if settings(service).get("enable") and deployment["failedTasks"] >= ecs._circuit_breaker_threshold(service):
            _trip(service, deployment)


def note_healthy(service: Record, task: Record) -> None:
    """Begin to count anew: failedTasks are the failures in a row."""
    with ecs.resource_lock("ecs-service", key_of(service)):
        deployment = ecs._deployment_for_task(service, task)
        if deployment is not None and settings(service).get("resetOnHealthyTask", True):
            deployment["failedTasks"] = 0
            deployment["updatedAt"] = now_iso()


def _trip(service: Record, failed: Record) -> None:
    failed.update(rolloutState="FAILED", rolloutStateReason=_TRIPPED, desiredCount=0)
    _say(service, f"(deployment {failed['id']}) deployment failed: tasks failed to start.")
    completed = [item for item in service["deployments"] if item["rolloutState"] == "COMPLETED"]
    if not settings(service).get("rollback") or not completed:
        return
    last = completed[0]
    failed.update(status="ACTIVE", _rolled_back_to=last)
    last.update(
        status="PRIMARY",
        desiredCount=service["desiredCount"],
        rolloutState="IN_PROGRESS",
        rolloutStateReason=_ROLLING_BACK.format(id=last["id"]),
        failedTasks=0,
        updatedAt=now_iso(),
    )
    service["taskDefinition"] = last["taskDefinition"]
    service["deployments"] = [last, *(item for item in service["deployments"] if item is not last)]
    _say(service, f"rolling back to deployment {last['id']}.")


def _say(service: Record, message: str) -> None:
    text = f"(service {service['serviceName']}) {message}"
    service["events"].insert(0, {"id": new_uuid(), "createdAt": now_iso(), "message": text})
