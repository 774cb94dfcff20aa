"""The events ECS sends to the default bus; AWS delivers them durably, here it happens at once or is logged."""

from __future__ import annotations

import copy
import logging
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import ecs

from local.aws import messages

logger = logging.getLogger(__name__)

# FAILED is sent only if the circuit breaker is on: nothing else makes a deployment fail.
_DEPLOYMENT_EVENTS = {
    "IN_PROGRESS": ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS"),
    "COMPLETED": ("INFO", "SERVICE_DEPLOYMENT_COMPLETED"),
    "FAILED": ("ERROR", "SERVICE_DEPLOYMENT_FAILED"),
}
# What the service itself says at the same time (ECS developer guide, "Amazon ECS service action events").
_SERVICE_ACTIONS = {
    "COMPLETED": ("INFO", "SERVICE_STEADY_STATE"),
    "FAILED": ("WARN", "SERVICE_TASK_START_IMPAIRED"),
}


def task_changed(record: dict[str, Any]) -> None:
    """Send ``ECS Task State Change`` with the task as DescribeTasks shows it now, times as text."""
    detail = copy.deepcopy(ecs._sanitize(record))
    _send("ECS Task State Change", record["taskArn"], {**detail, "updatedAt": now_iso()})


def deployment_changed(service: dict[str, Any], deployment: dict[str, Any]) -> None:
    """Send ``ECS Deployment State Change`` for the deployment's present rollout state, and ``ECS Service Action``."""
    kind, name = _DEPLOYMENT_EVENTS[deployment["rolloutState"]]
    detail = {
        "eventType": kind,
        "eventName": name,
        "deploymentId": deployment["id"],
        "updatedAt": now_iso(),
        "reason": deployment["rolloutStateReason"],
    }
    _send("ECS Deployment State Change", service["serviceArn"], detail)
    if deployment["rolloutState"] in _SERVICE_ACTIONS:
        kind, name = _SERVICE_ACTIONS[deployment["rolloutState"]]
        action = {"eventType": kind, "eventName": name, "clusterArn": service["clusterArn"], "createdAt": now_iso()}
        _send("ECS Service Action", service["serviceArn"], action)


def _send(kind: str, resource: str, detail: dict[str, Any]) -> None:
    try:
        messages.emit("aws.ecs", kind, [resource], detail)
    except Exception:
        # A target that cannot be reached must not end a task's thread.
        logger.exception("%s of %s could not be delivered", kind, resource)
