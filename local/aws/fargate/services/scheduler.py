"""The ECS service scheduler: desired count, rolling deployments, replacement of unhealthy tasks."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import new_uuid, now_iso, request_scope
from ministack.services import ecs

from local.aws.fargate.network import registrations
from local.aws.fargate.services import circuit_breaker, service_deployments, state_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

Record = dict[str, Any]

# How the stoppedReason begins of a task that the scheduler did not need any more.
SCALED = "Scaling activity initiated by"

_LOOK_AGAIN_S = 1.0
# A task without health checks counts as started only after this: until then its program may still fail at once.
_STEADY_AFTER_S = 1.0
# ECS starts the tasks of a service that keep failing ever more rarely.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 15.0


class Scheduler:
    """
    Brings every service's tasks in line with its deployments, whenever something changed and once a second.

    Args:
        stop_task: Stops a running task; called with its record, stoppedReason and stopCode.
    """

    def __init__(self, stop_task: Callable[[Record, str, str], None]) -> None:
        self._stop_task = stop_task
        self._changed = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="ecs-scheduler").start()

    def wake(self) -> None:
        """Look at all services now."""
        self._changed.set()

    def end(self) -> None:
        """Start and stop no more tasks."""
        self._ended.set()
        self._changed.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._changed.wait(_LOOK_AGAIN_S)
            self._changed.clear()
            for (account, region, key), service in ecs._services.all_items():
                if self._ended.is_set() or service.get("status") != "ACTIVE":
                    continue
                with request_scope(account, region):
                    try:
                        self._reconcile(key, service)
                    except Exception:
                        # One service's fault must not stop the scheduler; the next look tries again.
                        logger.exception("service %s", key)

    def _reconcile(self, key: str, service: Record) -> None:
        service_deployments.note(service)
        self._send_events(service)
        self._stop_unhealthy(service)
        self._note_ready(service)
        primary = ecs._primary_deployment(service)
        if primary is None:
            return
        self._stop_superseded(service, primary)
        if primary["rolloutState"] != "FAILED":
            self._stop_surplus(service, primary)
            self._start_missing(key, service, primary)
            self._stop_stale(service, primary)
            self._complete(service, primary)
        self._forget_replaced(service)
        cluster = key.partition("/")[0]
        ecs._refresh_service_state(cluster, f"service:{service['serviceName']}")
        service_deployments.note(service)
        self._send_events(service)

    def _stop_unhealthy(self, service: Record) -> None:
        # No kinder than ECS: a task of which a container has yet to start is left alone (containers-roadmap#2379).
        for task in (each for each in _live(service) if each["lastStatus"] == "RUNNING"):
            age_s = time.monotonic() - task.get("_running_since", 0.0)
            if task["healthStatus"] == "UNHEALTHY" and age_s >= int(service.get("healthCheckGracePeriodSeconds") or 0):
                self._stop_task(task, "Task failed container health checks", "ServiceSchedulerInitiated")

    def _note_ready(self, service: Record) -> None:
        for task in _live(service):
            if _ready(task) and not task.get("_startup_stable"):
                circuit_breaker.note_healthy(service, task)
                task["_startup_stable"] = True
                for other in _tasks(service):
                    other.pop("_failed", None)

    def _partition(self, service: Record, primary: Record) -> tuple[list[Record], list[Record]]:
        live = _live(service)
        current = [task for task in live if ecs._deployment_for_task(service, task) is primary]
        return current, [task for task in live if task not in current]

    def _stop_superseded(self, service: Record, primary: Record) -> None:
        """A deployment that failed, or that another one overtook, gives up the tasks that never became healthy."""
        for task in _live(service):
            deployment = ecs._deployment_for_task(service, task) or {"rolloutState": "FAILED"}
            wanted = deployment["rolloutState"] == "COMPLETED" or (
                deployment is primary and deployment["rolloutState"] == "IN_PROGRESS"
            )
            if not wanted and not task.get("_startup_stable"):
                self._stop_task(task, _scaled(primary), "ServiceSchedulerInitiated")

    def _forget_replaced(self, service: Record) -> None:
        """A replaced deployment is shown until its last task stopped; a completed one is what a rollback needs."""
        with ecs.resource_lock("ecs-service", circuit_breaker.key_of(service)):
            held = [
                ecs._deployment_for_task(service, task) for task in _tasks(service) if task["lastStatus"] != "STOPPED"
            ]
            service["deployments"] = [
                deployment
                for deployment in service["deployments"]
                if deployment["status"] == "PRIMARY"
                or deployment["rolloutState"] == "COMPLETED"
                or any(deployment is other for other in held)
            ]

    def _stop_surplus(self, service: Record, primary: Record) -> None:
        current, _ = self._partition(service, primary)
        newest_first = sorted(current, key=lambda task: str(task["createdAt"]), reverse=True)
        self._stop_all(newest_first[: max(0, len(current) - service["desiredCount"])], _scaled(primary))

    def _start_missing(self, key: str, service: Record, primary: Record) -> None:
        current, stale = self._partition(service, primary)
        missing = service["desiredCount"] - len(current)
        room = max(0, _limit(service, "maximumPercent", 200, math.floor) - len(current) - len(stale))
        if room < missing:
            self._make_room(service, stale, missing - room)
        count = min(missing, room)
        if count <= 0 or self._pausing(service, primary):
            return
        ecs._run_task(
            {
                "cluster": key.partition("/")[0],
                "taskDefinition": primary["taskDefinition"],
                "count": count,
                "group": f"service:{service['serviceName']}",
                "startedBy": primary["id"],
                "launchType": service.get("launchType"),
                "capacityProviderStrategy": service.get("capacityProviderStrategy"),
                "platformVersion": service.get("platformVersion", ""),
                "networkConfiguration": service.get("networkConfiguration", {}),
                "enableExecuteCommand": service.get("enableExecuteCommand", False),
                "_deploymentId": primary["id"],
            },
        )

    def _pausing(self, service: Record, primary: Record) -> bool:
        """True while the deployment's last failure is too recent for another task to be started."""
        failures, latest = 0, 0.0
        for task in _tasks(service):
            if task.get("_failed") and ecs._deployment_for_task(service, task) is primary:
                failures += 1
                latest = max(latest, task.setdefault("_failed_at", time.monotonic()))
        pause = min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S)
        return failures > 0 and time.monotonic() - latest < pause

    def _make_room(self, service: Record, stale: list[Record], count: int) -> None:
        healthy = sum(map(_ready, _live(service)))
        spare = healthy - _limit(service, "minimumHealthyPercent", 100, math.ceil)
        self._stop_all(stale[: max(0, min(count, spare))], "Deployment needs room")

    def _stop_stale(self, service: Record, primary: Record) -> None:
        """Every ready task of the new deployment replaces an old one; the healthy never fall below the minimum."""
        current, stale = self._partition(service, primary)
        if primary["rolloutState"] != "IN_PROGRESS":
            return
        ready = sum(map(_ready, current))
        kept = max(0, service["desiredCount"] - ready)
        spare = ready + sum(map(_ready, stale)) - _limit(service, "minimumHealthyPercent", 100, math.ceil)
        for task in sorted(stale, key=_ready)[: len(stale) - kept]:
            spare -= _ready(task)
            if spare < 0:
                return
            self._stop_task(task, _scaled(primary), "ServiceSchedulerInitiated")

    def _complete(self, service: Record, primary: Record) -> None:
        current, stale = self._partition(service, primary)
        stable = sum(bool(task.get("_startup_stable")) for task in current)
        if primary["rolloutState"] != "IN_PROGRESS" or stale or stable < service["desiredCount"]:
            return
        with ecs.resource_lock("ecs-service", circuit_breaker.key_of(service)):
            if primary["status"] != "PRIMARY":
                return
            primary.update(
                rolloutState="COMPLETED",
                rolloutStateReason=f"ECS deployment {primary['id']} completed.",
                updatedAt=now_iso(),
            )
            service["deployments"] = [primary]
        message = f"(service {service['serviceName']}) has reached a steady state."
        service["events"].insert(0, {"id": new_uuid(), "createdAt": now_iso(), "message": message})

    def _stop_all(self, tasks: Iterable[Record], reason: str) -> None:
        for task in tasks:
            self._stop_task(task, reason, "ServiceSchedulerInitiated")

    def _send_events(self, service: Record) -> None:
        # The failed one first: its rollback is what the next event is about.
        for deployment in sorted(service["deployments"], key=lambda item: item["rolloutState"] != "FAILED"):
            if deployment.get("_event_sent") != deployment["rolloutState"]:
                deployment["_event_sent"] = deployment["rolloutState"]
                state_events.deployment_changed(service, deployment)


def _tasks(service: Record) -> list[Record]:
    return [task for task in list(ecs._tasks.values()) if registrations.service_of(task) is service]


def _live(service: Record) -> list[Record]:
    return [task for task in _tasks(service) if task["desiredStatus"] == "RUNNING" and task["lastStatus"] != "STOPPED"]


def _ready(task: Record) -> bool:
    if not registrations.announced(task):
        return False
    return bool(task.get("_has_health_check")) or time.monotonic() - task["_running_since"] >= _STEADY_AFTER_S


def _limit(service: Record, name: str, default: int, rounding: Callable[[float], int]) -> int:
    percent = (service.get("deploymentConfiguration") or {}).get(name)
    return max(rounding(service["desiredCount"] * (default if percent is None else int(percent)) / 100), 0)


def _scaled(deployment: Record) -> str:
    return f"{SCALED} (deployment {deployment['id']})"
