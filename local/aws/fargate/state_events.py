"""The events ECS sends to the default bus; AWS delivers them durably, here it happens at once or is logged."""

from __future__ import annotations

import copy
import json
import logging
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import ecs, eventbridge

logger = logging.getLogger(__name__)

_DEPLOYMENT_EVENTS = {
    "IN_PROGRESS": ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS deployment {id} in progress."),
    "COMPLETED": ("INFO", "SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment {id} completed."),
    "FAILED": ("ERROR", "SERVICE_DEPLOYMENT_FAILED", "ECS deployment circuit breaker: task failed to start."),
}


def task_changed(record: dict[str, Any]) -> None:
    """Send ``ECS Task State Change`` with the task as DescribeTasks shows it now."""
    detail = copy.deepcopy(ecs._sanitize(record))
    _send("ECS Task State Change", record["taskArn"], {**detail, "updatedAt": now_iso()})


def deployment_changed(service: dict[str, Any], deployment: dict[str, Any]) -> None:
    """Send ``ECS Deployment State Change`` for the deployment's present rollout state."""
    kind, name, reason = _DEPLOYMENT_EVENTS[deployment["rolloutState"]]
    if "rollback" in deployment.get("rolloutStateReason", ""):
        reason = "ECS deployment circuit breaker: rolling back to deploymentId {id}."
    detail = {
        "eventType": kind,
        "eventName": name,
        "deploymentId": deployment["id"],
        "updatedAt": now_iso(),
        "reason": reason.format(id=deployment["id"]),
    }
    _send("ECS Deployment State Change", service["serviceArn"], detail)


def _send(kind: str, resource: str, detail: dict[str, Any]) -> None:
    entry = {
        "Source": "aws.ecs",
        "DetailType": kind,
        "Resources": [resource],
        "Detail": json.dumps(detail, default=str),
    }
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        # A target that cannot be reached must not end a task's thread.
        logger.exception("%s of %s could not be delivered", kind, resource)
