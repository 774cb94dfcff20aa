"""The life of one ECS task, from PROVISIONING to STOPPED. One thread each."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import ecs, ecs_metadata

from local.aws.fargate.containers.container import ContainerStartError
from local.aws.fargate.containers.health import Health
from local.aws.fargate.network import registrations
from local.aws.fargate.services import circuit_breaker, state_events
from local.aws.fargate.tasks.parts import Part
from local.aws.fargate.tasks.plan import TaskEndError, TaskPlan

if TYPE_CHECKING:
    from local.aws.fargate.tasks.plan import Host

logger = logging.getLogger(__name__)

_LOOK_AGAIN_S = 1.0
_KILL_TAKES_S = 10.0


class TaskRun:
    """
    Carries one task record of MiniStack's ECS through its life.

    Args:
        host: What it shares with other tasks.
        record: MiniStack's task record, status PROVISIONING.
        overrides: ``containerOverrides`` of RunTask.
    """

    def __init__(
        self, host: Host, record: dict[str, Any], definition: dict[str, Any], overrides: list[dict[str, Any]]
    ) -> None:
        self.record = record
        self.arn: str = record["taskArn"]
        self.address = host.addresses.allocate()
        self._host = host
        self._plan = TaskPlan(host, record, definition, overrides, self.address)
        self._parts: list[Part] = []
        self._news = threading.Event()
        self._hurried = threading.Event()
        self._serves_on_s = 0.0

    def run(self) -> None:
        """Live the task's whole life; returns when it is STOPPED and nothing of it is left."""
        try:
            self._start()
            while self._active:
                self._look()
                self._wait(_LOOK_AGAIN_S)
        except (TaskEndError, ContainerStartError) as end:
            self.stop(str(end), getattr(end, "code", "TaskFailedToStart"))
        except Exception as error:
            logger.exception("task %s", self.arn)
            self.stop(f"ResourceInitializationError: {error}", "TaskFailedToStart")
        finally:
            self._end()
            self._finish()

    def stop(self, reason: str, code: str) -> None:
        """
        Have the task stop: clients are sent elsewhere, and its containers get SIGTERM when it has served on.

        Args:
            reason: Its stoppedReason.
            code: Its stopCode.
        """
        serves_on_s = self._host.registrations.serves_on_s(self.record, code)
        held = self._host.registrations.withdraw(self.record)
        with ecs.resource_lock("ecs-task", self.arn):
            if self.record["desiredStatus"] == "STOPPED":
                return
            ecs._bump_task_version(self.record)
            self.record.update(desiredStatus="STOPPED", stoppingAt=now_iso(), stoppedReason=reason, stopCode=code)
            self._serves_on_s = serves_on_s
            if self.record["lastStatus"] == "RUNNING":
                self.record["lastStatus"] = "DEACTIVATING"
        if not held or code in ("EssentialContainerExited", "TaskFailedToStart"):
            self._hurried.set()
        ecs_metadata.set_task_status(self.arn, desired_status="STOPPED")
        self._publish()
        if code in ("EssentialContainerExited", "TaskFailedToStart") or self.record["healthStatus"] == Health.UNHEALTHY:
            self.record["_failed"] = True
            circuit_breaker.note_failure(self.record)
        self._note()
        self._host.changed()

    def kill(self) -> None:
        """End it at once, without grace: the local AWS itself ends or is reset."""
        self.record["desiredStatus"] = "STOPPED"
        self._hurried.set()
        for part in list(self._parts):
            part.kill()
        self._note()

    @property
    def _active(self) -> bool:
        return bool(ecs._task_is_active(self.arn, self.record))

    def _note(self) -> None:
        self._news.set()

    def _wait(self, timeout_s: float) -> None:
        self._news.wait(timeout_s)
        self._news.clear()

    def _recount(self) -> None:
        cluster = self.record["clusterArn"].rsplit("/", 1)[-1]
        ecs._recount_cluster(cluster)
        ecs._refresh_service_state(cluster, self.record.get("group", ""))

    def _publish(self) -> None:
        """Recount cluster and service, and send the event: after every change of status."""
        self._recount()
        if not self.record.get("_ecs_resetting"):
            state_events.task_changed(self.record)

    def _start(self) -> None:
        self._publish()
        if not ecs._mark_task_pending(self.arn, self.record):
            return
        self._attach_address()
        self._publish()
        if ecs._mark_task_activating(self.arn, self.record):
            ecs._bump_task_version(self.record)
            self._publish()
        self._plan.prepare()
        self._parts = [Part(definition, plan, self._note) for definition, plan in self._plan.containers]
        checked = [part.definition.essential and part.definition.health_check is not None for part in self._parts]
        self.record["_has_health_check"] = any(checked)
        while self._active and not all(part.started for part in self._parts):
            if not self._start_next():
                self._look()
                self._wait(_LOOK_AGAIN_S)
        if ecs._mark_task_running(self.arn, self.record):
            self.record["_running_since"] = time.monotonic()
            self._publish()
            self._note()

    def _enter(self, status: str) -> None:
        """Change ``lastStatus``, and say so."""
        with ecs.resource_lock("ecs-task", self.arn):
            ecs._bump_task_version(self.record)
            self.record["lastStatus"] = status
        self._publish()

    def _attach_address(self) -> None:
        attachment = {
            "id": new_uuid(),
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": [
                {"name": "subnetId", "value": self.record.get("_subnet") or ""},
                {"name": "privateIPv4Address", "value": self.address},
            ],
        }
        self.record["attachments"] = [attachment]
        interface = {"attachmentId": attachment["id"], "privateIpv4Address": self.address}
        for container in self.record["containers"]:
            container["networkInterfaces"] = [interface]

    def _start_next(self) -> bool:
        """Start one container whose dependencies are met; False if there is none."""
        by_name = {part.definition.name: part for part in self._parts}
        for index, part in enumerate(self._parts):
            needs = part.definition.depends_on.items()
            if part.started:
                continue
            for name, condition in needs:
                if by_name[name].defeats(condition):
                    raise TaskEndError(f"Container {part.definition.name} waits in vain for {name} to be {condition}")
            if all(by_name[name].fulfils(condition) for name, condition in needs):
                part.start()
                self.record["containers"][index].update(lastStatus="RUNNING", runtimeId=f"{self.arn[-32:]}-{index}")
                return True
        return False

    def _look(self) -> None:
        """Take over what became of the containers, and act on it."""
        containers = self.record["containers"]
        essential = [part for part in self._parts if part.definition.essential]
        for container, part in zip(containers, self._parts, strict=True):
            container["healthStatus"] = str(part.health)
            if part.ended:
                container.update(lastStatus="STOPPED", exitCode=part.exit_code)
        healths = {part.health for part in essential if part.definition.health_check}
        before = self.record["healthStatus"]
        if Health.UNHEALTHY in healths:
            self.record["healthStatus"] = str(Health.UNHEALTHY)
        elif healths:
            self.record["healthStatus"] = str(Health.HEALTHY if healths == {Health.HEALTHY} else Health.UNKNOWN)
        if any(part.ended for part in essential) or all(part.ended for part in self._parts):
            self.stop("Essential container in task exited", "EssentialContainerExited")
            return
        self._host.registrations.follow(self.record)
        if registrations.announced(self.record) and not self.record.get("_announced"):
            self.record["_announced"] = True
            self._recount()
            self._host.changed()
        if before != self.record["healthStatus"]:
            self._recount()
            self._host.changed()

    def _end(self) -> None:
        """Stop the containers in the reverse order of their dependencies, each with its own stop timeout."""
        if self.record.get("_announced"):
            self._hurried.wait(self._serves_on_s)
        self._enter("STOPPING")
        told: dict[Part, float] = {}
        while running := [part for part in self._parts if part.running]:
            needed = {name for part in running for name in part.definition.depends_on}
            now = time.monotonic()
            for part in [part for part in running if part.definition.name not in needed] or running:
                if part not in told:
                    told[part] = now + part.definition.stop_timeout_s
                    part.end()
                if self.record.get("_ecs_resetting") or now >= told[part]:
                    part.kill()
                    part.wait(_KILL_TAKES_S)
            next_deadline = min(told[part] for part in running if part in told)
            self._wait(min(_LOOK_AGAIN_S, max(0.0, next_deadline - now)))

    def _finish(self) -> None:
        self._plan.release()
        for token in self.record.pop("_metadata_tokens", []):
            ecs_metadata.unregister_token(token)
        with ecs.resource_lock("ecs-task", self.arn):
            for container, part in zip(self.record["containers"], self._parts, strict=False):
                container["exitCode"] = part.exit_code
            for container in self.record["containers"]:
                container["lastStatus"] = "STOPPED"
        self._enter("DEPROVISIONING")
        with ecs.resource_lock("ecs-task", self.arn):
            ecs._bump_task_version(self.record)
            now = now_iso()
            self.record.update(lastStatus="STOPPED", stoppedAt=now, executionStoppedAt=now)
        self._publish()
        self._host.changed()
