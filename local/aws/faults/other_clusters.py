"""
Tasks of other clusters in the same account, as far as anybody hears of them: by their events.

Amazon ECS sends every task's and every service's events to the account's default bus (EventBridge reference, "Amazon
ECS events"), so a rule that does not name a cluster hears of all of them. These tasks run batches, end by themselves,
and have nothing to do with any mesh.
"""

from __future__ import annotations

import logging
import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.core import responses

from local.aws import control, messages

if TYPE_CHECKING:
    from local.aws.config import Config
    from local.aws.per_account import PerAccount

logger = logging.getLogger(__name__)

_CLUSTERS = ("batch", "shop", "analytics")
# A task's events: its last status, and what ECS wants of it by then.
_LIFE = (
    ("PROVISIONING", "RUNNING"),
    ("PENDING", "RUNNING"),
    ("ACTIVATING", "RUNNING"),
    ("RUNNING", "RUNNING"),
    ("DEACTIVATING", "STOPPED"),
    ("STOPPING", "STOPPED"),
    ("DEPROVISIONING", "STOPPED"),
    ("STOPPED", "STOPPED"),
)


class OtherClusters:
    """The tasks of other clusters in one account."""

    def __init__(self) -> None:
        self.tasks_per_s = 0.0
        self.tasks = 0
        self._ending = threading.Event()

    def set(self, account: str, region: str, tasks_per_s: float) -> None:
        """
        Have so many tasks begin and end from now on, each second.

        Args:
            account: The account whose bus hears of them.
            region: Its region.
            tasks_per_s: 0 for none.
        """
        self.end()
        self.tasks_per_s = tasks_per_s
        if tasks_per_s > 0:
            self._ending = threading.Event()
            worker = threading.Thread(
                target=self._run, args=(account, region, self._ending), daemon=True, name="other-clusters"
            )
            worker.start()

    def end(self) -> None:
        """No more tasks."""
        self.tasks_per_s = 0.0
        self._ending.set()

    def _run(self, account: str, region: str, ending: threading.Event) -> None:
        while not ending.wait(1 / self.tasks_per_s if self.tasks_per_s else 0):
            with responses.request_scope(account, region):
                try:
                    _live(account, region, self.tasks)
                except Exception:
                    # A target that cannot be reached is no reason for ECS to stop.
                    logger.exception("the events of a task of another cluster could not be delivered")
            self.tasks += 1


def install(config: Config, of_accounts: PerAccount[OtherClusters]) -> None:
    """Serve ``/_local/other-clusters``; tasks begin at once if the configuration says so."""

    def configure(value: Any) -> dict[str, Any]:
        """``{"tasks_per_s": N}`` begins anew, 0 ends; anything else only asks."""
        current = of_accounts.current
        if isinstance(value, dict) and "tasks_per_s" in value:
            current.set(responses.get_account_id(), responses.get_region(), float(value["tasks_per_s"]))
        return {"tasks_per_s": current.tasks_per_s, "tasks": current.tasks}

    control.route("/_local/other-clusters", configure)
    if config.other_clusters_tasks_per_s > 0:
        of_accounts[config.account].set(config.account, config.region, config.other_clusters_tasks_per_s)


def _live(account: str, region: str, number: int) -> None:
    """Send all events of one task."""
    place = f"arn:aws:ecs:{region}:{account}"
    cluster, task = _CLUSTERS[number % len(_CLUSTERS)], uuid.uuid4().hex
    # One in three belongs to a service: nothing but its cluster tells it from a task of a mesh.
    group = "service:worker" if number % len(_CLUSTERS) == 1 else f"family:{cluster}"
    arn, created = f"{place}:task/{cluster}/{task}", _now()
    for version, (last, desired) in enumerate(_LIFE, start=1):
        container: dict[str, Any] = {
            "containerArn": f"{place}:container/{cluster}/{task}/{uuid.UUID(task)}",
            "lastStatus": "STOPPED" if last in ("DEPROVISIONING", "STOPPED") else last,
            "name": "main",
            "image": "batch:1",
            "taskArn": arn,
            "networkInterfaces": [],
            "cpu": "0",
        }
        detail: dict[str, Any] = {
            "attachments": [],
            "availabilityZone": f"{region}a",
            "clusterArn": f"{place}:cluster/{cluster}",
            "containers": [container],
            "cpu": "256",
            "createdAt": created,
            "desiredStatus": desired,
            "group": group,
            "lastStatus": last,
            "launchType": "FARGATE",
            "memory": "512",
            "overrides": {"containerOverrides": [{"name": "main"}]},
            "platformVersion": "1.4.0",
            "taskArn": arn,
            "taskDefinitionArn": f"{place}:task-definition/{cluster}:1",
            "updatedAt": _now(),
            "version": version,
        }
        if desired == "STOPPED":
            detail |= {
                "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited",
                "stoppingAt": _now(),
            }
        if container["lastStatus"] == "STOPPED":
            container["exitCode"] = 0 if number % 5 else 1
        messages.emit("aws.ecs", "ECS Task State Change", [arn], detail)


def _now() -> str:
    return f"{datetime.now(UTC):%FT%T.%f}"[:-3] + "Z"
