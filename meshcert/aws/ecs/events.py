"""
Finds the services that an event of ECS is about; makes no calls.

The shapes of events: Amazon ECS developer guide, "Amazon ECS service deployment state change events" and "Amazon ECS
task state change events". Every field of a detail is optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 300


def services_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """
    The ARNs of the services that an event is about.

    Args:
        event: As EventBridge delivers it, with an object as its detail. It may come from any source.
    """
    if event.get("source") != "aws.ecs":
        return ()
    if event.get("detail-type") == "ECS Task State Change":
        return (_service_of(event["detail"]),)
    resources = event.get("resources")
    named = [each for each in resources if isinstance(each, str)] if isinstance(resources, list) else []
    return tuple(named[:1])


def _service_of(task: Mapping[str, Any]) -> str:
    """The ARN of a task's service, made from the service's name and the cluster's ARN in the task."""
    kind, _, name = _text(task.get("group")).partition(":")
    cluster = _text(task.get("clusterArn"))
    return f"{cluster.replace(':cluster/', ':service/')}/{name}" if kind == "service" else ""


def _text(value: Any) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""
