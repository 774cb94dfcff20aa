"""Interprets ECS's descriptions of deployments and stopped tasks; makes no calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshcert.contract import exit_codes
from meshcert.lifecycle.observation import Rollout, RolloutState
from meshcert.naming import ENVOY_CONTAINER, READINESS_CONTAINER

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

_LONGEST_REASON = 256
_HEALTH = "health check"
EXCUSED = frozenset(
    {
        exit_codes.STOPPED,
        exit_codes.SETTINGS,
        exit_codes.NOT_PUBLISHED,
        exit_codes.AWS_UNAVAILABLE,
        exit_codes.AWS_REFUSED,
        exit_codes.SIGNAL_BASE + 9,  # SIGKILL: too little memory, or too slow to stop
        exit_codes.SIGNAL_BASE + 15,  # SIGTERM
    }
)
"""Exit codes of the Envoy container that say nothing about the material."""


@dataclass(frozen=True)
class Failed:
    """
    The reasons why tasks of a deployment failed, in the order in which the tasks stopped.

    Args:
        failures: Of tasks whose failure may come from the material they were to serve.
        excused: Of tasks whose failure says nothing about the material.
        excused_code: Exit code of Envoy in the last of the excused; 0 if it has none.
    """

    failures: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    excused_code: int = 0


def primary(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    The deployment that ECS keeps a service at.

    Args:
        service: From DescribeServices or UpdateService.

    Returns:
        A deployment without an id if the service has none (its controller is EXTERNAL).
    """
    deployments: list[Mapping[str, Any]] = service.get("deployments", [])
    found = [deployment for deployment in deployments if deployment["status"] == "PRIMARY"]
    return found[0] if found else {"id": "", "rolloutState": "COMPLETED"}


def rolls(service: Mapping[str, Any]) -> bool:
    """True if ECS itself replaces the service's tasks; only such services have a history of deployments."""
    controller: Mapping[str, str] = service.get("deploymentController", {})
    return controller.get("type", "ECS") == "ECS" and bool(service.get("deployments"))


def newest(service: Mapping[str, Any]) -> Rollout:
    """
    A service's newest deployment.

    It is the primary one, unless ECS is rolling a newer one back: then an older deployment is primary again, and the
    newer one has failed.

    Args:
        service: From DescribeServices.
    """
    current = primary(service)
    later = [
        deployment
        for deployment in service.get("deployments", [])
        if "createdAt" in current and deployment["createdAt"] > current["createdAt"]
    ]
    if later:
        overruled = max(later, key=lambda deployment: deployment["createdAt"])
        return replace(_deployment(overruled, service), state=RolloutState.FAILED, taken_back=True)
    return _deployment(current, service)


def as_recorded(seen: Rollout, begun: dt.datetime, records: Iterable[Mapping[str, Any]]) -> Rollout:
    """
    A deployment under way, corrected if the service's history shows that it was stopped or rolled back.

    Args:
        seen: The deployment as DescribeServices shows it.
        begun: When it was created.
        records: From ListServiceDeployments.
    """
    latest = max(records, key=lambda record: record["createdAt"], default=None)
    if latest is None:
        return seen
    # A service revision has the same number as its deployment.
    number = str(latest.get("targetServiceRevisionArn", "")).rpartition("/")[2]
    is_it = seen.id == f"ecs-svc/{number}"
    if not is_it and latest["createdAt"] < begun:
        # This record is of the deployment before; the new one has no record yet.
        return seen
    status, reason = str(latest["status"]), str(latest.get("statusReason", ""))
    if status != "STOPPED" and not status.startswith("ROLLBACK_"):
        return seen
    return Rollout(
        id=seen.id if is_it or not number else f"ecs-svc/{number}",
        state=RolloutState.FAILED,
        failed=seen.failed if is_it else 0,
        reason=reason or f"its service deployment is {status}",
        taken_back=seen.taken_back or status.startswith("ROLLBACK_"),
    )


def failed(tasks: Iterable[Mapping[str, Any]], deployment: str) -> Failed:
    """
    The reasons why tasks of a deployment failed, split by whether the material they were to serve may be to blame.

    A task counts as soon as its stopCode, or a container's exit code, is known: on Fargate, its last status comes half
    a minute later or more.

    Args:
        tasks: From DescribeTasks: tasks that ECS no longer wants to run.
        deployment: Id of the deployment.

    Returns:
        A reason for each task that failed by itself. Tasks are left out that were stopped by the scheduler to make
        room, by a person, or by AWS to take back the machine.
    """
    ours = [task for task in tasks if task.get("startedBy") == deployment and _failed(task)]
    ours.sort(key=lambda task: (task.get("stoppingAt", task.get("createdAt")), task["taskArn"]))
    excused = [task for task in ours if not _blames_material(task)]
    return Failed(
        failures=tuple(_reason(task) for task in ours if _blames_material(task)),
        excused=tuple(map(_reason, excused)),
        excused_code=(_code_of_envoy(excused[-1]) if excused else None) or 0,
    )


def _deployment(deployment: Mapping[str, Any], service: Mapping[str, Any]) -> Rollout:
    return Rollout(
        id=deployment["id"],
        state=_state(deployment, service),
        failed=deployment.get("failedTasks", 0),
        reason=deployment.get("rolloutStateReason", ""),
    )


def _state(deployment: Mapping[str, Any], service: Mapping[str, Any]) -> RolloutState:
    if "rolloutState" not in deployment:
        # ECS leaves it out behind a Classic Load Balancer and for other controllers (ecs:Deployment).
        done = len(service["deployments"]) == 1 and deployment["runningCount"] == deployment["desiredCount"]
        return RolloutState.COMPLETED if done else RolloutState.IN_PROGRESS
    try:
        return RolloutState(deployment["rolloutState"])
    except ValueError:
        return RolloutState.IN_PROGRESS


def _failed(task: Mapping[str, Any]) -> bool:
    match task.get("stopCode"):
        case "TaskFailedToStart":
            return True
        case "EssentialContainerExited":
            return any(container.get("exitCode") for container in task.get("containers", []))
        case "ServiceSchedulerInitiated":
            return _HEALTH in task.get("stoppedReason", "").lower()
    return False


def _blames_material(task: Mapping[str, Any]) -> bool:
    """True if a task's failure may come from the material that it was to serve."""
    if task.get("stopCode") == "ServiceSchedulerInitiated":
        # A health check failed. Readiness waits for a healthy Envoy: if it has run, the application does not answer.
        return not any(_has_run(each) for each in task.get("containers", []) if each["name"] == READINESS_CONTAINER)
    # Counts even if the task never was RUNNING: an application that waits for a healthy Envoy has not started then.
    code = _code_of_envoy(task)
    return code is not None and code not in EXCUSED


def _code_of_envoy(task: Mapping[str, Any]) -> int | None:
    codes = (each.get("exitCode") for each in task.get("containers", []) if each["name"] == ENVOY_CONTAINER)
    return next(codes, None)


def _has_run(container: Mapping[str, Any]) -> bool:
    return bool(container.get("runtimeId")) or container.get("exitCode") is not None


def _reason(task: Mapping[str, Any]) -> str:
    parts = [str(task.get("stoppedReason", task["stopCode"]))]
    for container in task.get("containers", []):
        if container.get("exitCode"):
            parts.append(f"{container['name']} exited with {container['exitCode']}")
        if container.get("reason"):
            parts.append(f"{container['name']}: {container['reason']}")
    return "; ".join(parts)[:_LONGEST_REASON]
