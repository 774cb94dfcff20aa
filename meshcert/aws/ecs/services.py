"""The ECS services of a mesh: observed, deployed anew, and assigned to identities by their tags."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.ecs import deployments
from meshcert.aws.ecs.events import services_of
from meshcert.aws.ecs.strategies import refusal
from meshcert.aws.errors import aws_errors, error_code
from meshcert.errors import AccessDenied, IdentityMissing
from meshcert.lifecycle.observation import Instance, Rollout, RolloutState, Words, Workload
from meshcert.naming import IDENTITY_TAG_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORDS = Words("ECS", "task")
_ENDED = frozenset({"DEPROVISIONING", "STOPPED", "DELETED"})
"""Last statuses of a task whose containers run no more (ECS developer guide, "Task lifecycle")."""
_PAGE = 100
"""Tasks in one answer of ListTasks, and in one call of DescribeTasks."""


class EcsServices:
    """
    :class:`meshcert.lifecycle.ports.WorkloadPlatform`.

    Args:
        client: boto3's ``ecs`` client.
        cluster: Name of the cluster of services that have no place of their own.
    """

    def __init__(self, client: Any, cluster: str) -> None:
        self._client = client
        self._cluster = cluster

    def news(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """See :meth:`meshcert.lifecycle.ports.WorkloadPlatform.news`."""
        return services_of(event)

    def look(self, name: str, place: str = "") -> Workload | None:
        """See :meth:`meshcert.lifecycle.ports.WorkloadPlatform.look`."""
        cluster, ecs_name = self._at(name, place)
        try:
            service = self._describe(cluster, ecs_name)
            if service is None:
                return None
            # Tasks are listed after the service is described, so a complete deployment is seen with its own tasks.
            deployment = self._newest(cluster, service)
            # By ARN: a list that changes while it is read may name a task on two pages, and each has one voice.
            wanted = (task for task in self._tasks(cluster, ecs_name, "RUNNING") if task["desiredStatus"] == "RUNNING")
            tasks = {task["taskArn"]: task for task in wanted}
            failed = deployments.Failed()
            if deployment.state is not RolloutState.COMPLETED:
                failed = deployments.failed(self._tasks(cluster, ecs_name, "STOPPED"), deployment.id)
        except IdentityMissing:
            # The service or its cluster was deleted between two calls.
            return None
        return Workload(
            name=name,
            desired_count=service["desiredCount"],
            instances=tuple(_task(task) for task in tasks.values()),
            rollout=deployment,
            failures=failed.failures,
            excused=failed.excused,
            excused_code=failed.excused_code,
            words=WORDS,
            refusal=refusal(service),
        )

    def ending(self, name: str, place: str = "") -> tuple[str, ...]:
        """See :meth:`meshcert.lifecycle.ports.WorkloadPlatform.ending`."""
        cluster, ecs_name = self._at(name, place)
        try:
            # ECS lists tasks under STOPPED from the moment on at which it wants them to stop.
            tasks = {task["taskArn"]: task["lastStatus"] for task in self._tasks(cluster, ecs_name, "STOPPED")}
        except IdentityMissing:
            return ()
        return tuple(arn for arn, status in tasks.items() if status not in _ENDED)

    def roll_out(self, name: str, place: str = "") -> str:
        """See :meth:`meshcert.lifecycle.ports.WorkloadPlatform.roll_out`."""
        cluster, ecs_name = self._at(name, place)
        with aws_errors("ecs:UpdateService", name):
            # Nothing else is said: how many tasks there are, and of which definition, is not for a rollout to decide.
            service = self._client.update_service(cluster=cluster, service=ecs_name, forceNewDeployment=True)
        return str(deployments.primary(service["service"])["id"])

    def identities_of(self, service_arn: str) -> tuple[str, ...]:
        """See :meth:`meshcert.lifecycle.ports.WorkloadPlatform.identities_of`."""
        # arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME; services without their cluster in the ARN have no tags.
        parts = service_arn.rpartition(":")[2].split("/")
        if len(parts) != 3 or parts[0] != "service":  # noqa: PLR2004  kind, cluster, name
            return ()
        try:
            with aws_errors("ecs:ListTagsForResource", service_arn):
                tags = self._tags(service_arn)
        except IdentityMissing:
            return ()
        except AccessDenied:
            if parts[1] == self._cluster:
                raise
            # Of a cluster that is not the mesh's own, only the mesh's services may be asked about.
            return ()
        prefix = IDENTITY_TAG_PREFIX
        return tuple(sorted(tag["key"].removeprefix(prefix) for tag in tags if tag["key"].startswith(prefix)))

    def _at(self, name: str, place: str) -> tuple[str, str]:
        """Cluster and name of a service."""
        cluster, _, ecs_name = place.partition("/")
        return (cluster, ecs_name) if place else (self._cluster, name)

    def _describe(self, cluster: str, name: str) -> Mapping[str, Any] | None:
        with aws_errors("ecs:DescribeServices", name):
            found = self._client.describe_services(cluster=cluster, services=[name])["services"]
        # A service that is being deleted is DRAINING, then INACTIVE.
        return next((service for service in found if service["status"] == "ACTIVE"), None)

    def _newest(self, cluster: str, service: Mapping[str, Any]) -> Rollout:
        seen = deployments.newest(service)
        if seen.state is not RolloutState.IN_PROGRESS or not deployments.rolls(service):
            return seen
        begun = deployments.primary(service)["createdAt"]
        # Older records cannot be about it. The minute allows for ECS writing record and deployment in either order.
        since = {"after": begun - dt.timedelta(minutes=1)}
        with aws_errors("ecs:ListServiceDeployments", service["serviceName"]):
            records = self._client.list_service_deployments(
                cluster=cluster, service=service["serviceName"], createdAt=since
            )["serviceDeployments"]
        return deployments.as_recorded(seen, begun, records)

    def _tasks(self, cluster: str, name: str, desired: str) -> Iterator[Mapping[str, Any]]:
        question: dict[str, Any] = {"cluster": cluster, "serviceName": name, "desiredStatus": desired}
        while True:
            with aws_errors("ecs:ListTasks", name):
                listed = self._client.list_tasks(**question, maxResults=_PAGE)
            if listed["taskArns"]:
                with aws_errors("ecs:DescribeTasks", name):
                    described = self._client.describe_tasks(cluster=cluster, tasks=listed["taskArns"])
                # Tasks that are gone by now are listed as failures in the answer.
                yield from described["tasks"]
            if not listed.get("nextToken"):
                return
            question["nextToken"] = listed["nextToken"]

    def _tags(self, service_arn: str) -> list[Mapping[str, str]]:
        try:
            tags: list[Mapping[str, str]] = self._client.list_tags_for_resource(resourceArn=service_arn)["tags"]
        except ClientError as exc:
            # AWS's sentence is "The specified cluster is inactive", or the same about a service.
            if error_code(exc) == "InvalidParameterException":
                return []
            raise
        return tags


def _task(task: Mapping[str, Any]) -> Instance:
    started_at = task.get("startedAt")
    return Instance(
        id=task["taskArn"],
        rollout=task.get("startedBy", ""),
        running=task["lastStatus"] == "RUNNING",
        started_at=started_at.astimezone(dt.UTC) if started_at else None,
    )
