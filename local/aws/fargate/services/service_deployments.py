"""
The history of a service's deployments, as ListServiceDeployments and DescribeServiceDeployments show it.

States and the ways between them: the ECS developer guide, "View service history using Amazon ECS service deployments".
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from ministack.services import ecs

from local.aws.fargate.services import circuit_breaker

Record = dict[str, Any]

ENDED = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
_SUPERSEDED = "Service deployment was stopped because another one was started."
_BRIEF = (
    "serviceDeploymentArn", "serviceArn", "clusterArn", "createdAt", "startedAt", "finishedAt", "status",
    "statusReason",
)  # fmt: skip
_COUNTS = {"requestedTaskCount": "desiredCount", "runningTaskCount": "runningCount", "pendingTaskCount": "pendingCount"}


def note(service: Record) -> None:
    """
    Bring a service's history in line with its deployments.

    Each call takes a record at most one state further, so that PENDING and STOP_REQUESTED can be seen.

    Args:
        service: MiniStack's record of the service; the history lies in it and goes with it.
    """
    with ecs.resource_lock("ecs-service-deployments", service["serviceArn"]):
        deployments = list(service["deployments"])
        records: list[Record] = service.setdefault("_service_deployments", [])
        known = {record["_target"]["id"] for record in records}
        for record in records:
            if record["status"] not in ENDED:
                _advance(service, record)
        for deployment in reversed(deployments):
            if deployment["id"] not in known:
                sources = [item for item in deployments if item is not deployment and item["runningCount"]]
                records.insert(0, _begin(service, deployment, sources))


def history(service: Record) -> list[Record]:
    """All records of a service that exists, the newest first; none of one that was deleted."""
    return list(service.get("_service_deployments", [])) if service["status"] == "ACTIVE" else []


def record_of(service: Record, deployment_id: str) -> Record | None:
    """The record that belongs to a deployment (``ecs-svc/...``), or None."""
    return next((record for record in history(service) if record["_deployment_id"] == deployment_id), None)


def brief(record: Record) -> Record:
    """A record as ListServiceDeployments shows it (botocore: ServiceDeploymentBrief)."""
    shown = {name: record[name] for name in _BRIEF if name in record}
    return {**shown, "targetServiceRevisionArn": _revision_arn(record["serviceArn"], record["_target"])}


def whole(service: Record, record: Record) -> Record:
    """A record as DescribeServiceDeployments shows it (botocore: ServiceDeployment)."""
    arn = record["serviceArn"]
    return {
        **{name: value for name, value in record.items() if not name.startswith("_")},
        "sourceServiceRevisions": [_revision(arn, source) for source in record["_sources"]],
        "targetServiceRevision": _revision(arn, record["_target"]),
        "deploymentConfiguration": service["deploymentConfiguration"],
        "deploymentCircuitBreaker": _breaker(service, record),
        "alarms": {"status": "DISABLED"},
    }


def _begin(service: Record, deployment: Record, sources: list[Record]) -> Record:
    now, identifier = _now(), secrets.token_urlsafe(16)[:21]
    return {
        "serviceDeploymentArn": f"{_kind(service['serviceArn'], 'service-deployment')}/{identifier}",
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "createdAt": now,
        "updatedAt": now,
        "status": "PENDING",
        "_deployment_id": deployment["id"],
        "_target": deployment,
        "_sources": sources,
    }


def _advance(service: Record, record: Record) -> None:
    status, reason = _next(service, record)
    if status == "STOPPED" and record["status"] != "STOP_REQUESTED":
        status = "STOP_REQUESTED"
    if status == record["status"]:
        return
    now = _now()
    record.update(status=status, updatedAt=now)
    if reason:
        record["statusReason"] = reason
    if status not in {"STOP_REQUESTED", "STOPPED"}:
        record.setdefault("startedAt", now)
    if status == "ROLLBACK_IN_PROGRESS":
        last = record["_target"]["_rolled_back_to"]
        revision = _revision_arn(record["serviceArn"], last)
        record["rollback"] = {"reason": reason, "startedAt": now, "serviceRevisionArn": revision}
    if status == "STOPPED":
        record["stoppedAt"] = now
    if status in ENDED:
        record["finishedAt"] = now
        # What was counted at the end stays; the deployments themselves go on or vanish.
        record["_failures"] = _failures(record)
        record["_target"] = dict(record["_target"])
        record["_sources"] = [dict(source) for source in record["_sources"]]


def _next(service: Record, record: Record) -> tuple[str, str]:
    """The state that a record's deployment calls for, and why."""
    target = record["_target"]
    primary = ecs._primary_deployment(service)
    last = target.get("_rolled_back_to")
    if last is not None:
        if record["status"] != "ROLLBACK_IN_PROGRESS":
            return "ROLLBACK_IN_PROGRESS", target["rolloutStateReason"]
        if last is not primary or last["rolloutState"] == "FAILED":
            return "ROLLBACK_FAILED", ""
        return ("ROLLBACK_SUCCESSFUL" if last["rolloutState"] == "COMPLETED" else "ROLLBACK_IN_PROGRESS"), ""
    if target["rolloutState"] == "COMPLETED":
        return "SUCCESSFUL", ""
    if target["rolloutState"] == "FAILED":
        return "STOPPED", target["rolloutStateReason"]
    return ("IN_PROGRESS", "") if target is primary else ("STOPPED", _SUPERSEDED)


def _breaker(service: Record, record: Record) -> Record:
    failures = record.get("_failures", _failures(record))
    threshold = ecs._circuit_breaker_threshold(service)
    if not circuit_breaker.settings(service).get("enable"):
        status = "DISABLED"
    elif record["_target"]["rolloutState"] == "FAILED":
        status = "TRIGGERED"
    else:
        status = "MONITORING_COMPLETE" if record["status"] in ENDED else "MONITORING"
    return {"status": status, "failureCount": failures, "threshold": threshold}


def _failures(record: Record) -> int:
    return int(record["_target"].get("failedTasks", 0))


def _revision(service_arn: str, deployment: Record) -> Record:
    counts = {name: deployment[source] for name, source in _COUNTS.items()}
    return {"arn": _revision_arn(service_arn, deployment), **counts}


def _revision_arn(service_arn: str, deployment: Record) -> str:
    return f"{_kind(service_arn, 'service-revision')}/{deployment['id'].removeprefix('ecs-svc/')}"


def _kind(service_arn: str, kind: str) -> str:
    return service_arn.replace(":service/", f":{kind}/", 1)


def _now() -> float:
    return round(time.time(), 3)
