"""What joins a service of the user's to the mesh: containers for its task definition, and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.contract.container import MATERIAL_DIR
from meshcert.contract.environment import AWAITS_STOP, PROXY_FROM
from meshcert.contract.stopping import APPLICATION_STOP_S
from meshcert.documents.stored_settings import SettingsRow, packed_settings
from meshcert.mesh.rendering.containers import (
    HEALTHY,
    LOG_BUFFER_MIB,
    MOUNT_OPTIONS,
    envoy_container,
    readiness_container,
)
from meshcert.mesh.rendering.route_tables import task_settings
from meshcert.mesh.rendering.settings import proxy_settings

if TYPE_CHECKING:
    from meshcert.mesh.applications.attached import Attachment
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.rendering.containers import SidecarContainer
    from meshcert.mesh.services import DeclaredService


@dataclass(frozen=True)
class Sidecar:
    """
    What the task definition and the service of an attached service need, but for what only a deploy knows.

    Args:
        service: Name of the service in the mesh file.
        attached: What the mesh file says of the user's service.
        containers: Envoy's, and beside an application the one that reports readiness.
        identities: The identities that its proxy holds.
        image_parameter: Name of the Systems Manager parameter with the image of its containers.
        log_group: Name of the log group that they write to.
        stream_prefix: What the names of their streams begin with; empty for the container's own name.
    """

    service: str
    attached: Attachment
    containers: tuple[SidecarContainer, ...]
    identities: tuple[str, ...]
    image_parameter: str
    log_group: str
    stream_prefix: str

    @property
    def application_after(self) -> dict[str, str]:
        """The containers that the application's starts after, each with the condition; empty without application."""
        return {naming.ENVOY_CONTAINER: HEALTHY} if self.attached.container else {}

    @property
    def is_registered(self) -> bool:
        """Whether the mesh makes a Cloud Map service for its tasks: not for a job, nor where the user has one."""
        return not self.attached.job and not self.attached.cloud_map_service

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the ECS service: an event of ECS names the service alone, and these say whose certificates it has."""
        if self.attached.job:
            return {}
        return {f"{naming.IDENTITY_TAG_PREFIX}{identity}": "" for identity in self.identities}


def sidecar(mesh: Mesh, service: str) -> Sidecar:
    """
    The sidecar of an attached service.

    Args:
        mesh: A mesh that :func:`~meshcert.mesh.load_mesh` has checked.

    Raises:
        KeyError: If there is no such service.
        LookupError: If it is not attached.
    """
    declared = mesh.services[service]
    if declared.attached is None:
        raise LookupError(service)
    settings = proxy_settings(mesh, service)
    variables = {PROXY_FROM: SettingsRow(naming.routes_table(mesh.name), service).uri}
    if declared.is_job:
        # ECS tells it to stop when the application has ended, and it has no ways in that anybody had to leave.
        # ECS heeds the startTimeout of a container that runs, not of one that has ended, and only an essential one ends
        # the task with it (amazon-ecs-agent, dependencygraph/graph.go): the job would wait, and cost, for hours.
        envoy = envoy_container({**variables, AWAITS_STOP: "true"}, (), drain_s=0, application_stop_s=0)
        containers = [replace(envoy, essential=False)]
    else:
        stop_s = declared.application.stop_timeout_s if declared.application else APPLICATION_STOP_S
        containers = [envoy_container(variables, settings.listeners, declared.drain_s, stop_s)]
        containers += _beside_application(declared, declared.attached)
    log_group, _ = mesh.log_place(service)
    return Sidecar(
        service,
        declared.attached,
        tuple(containers),
        tuple(settings.identities),
        image_parameter=naming.sidecar_image(mesh.name, declared.attached.architecture),
        log_group=log_group,
        stream_prefix="" if mesh.logs.are_apart else service,
    )


def _beside_application(declared: DeclaredService, attached: Attachment) -> list[SidecarContainer]:
    application = declared.application
    if application is None:
        return []
    check = application.health_check
    return [readiness_container(attached.container, application.port, check, declared.drain_s)]


def settings_document(mesh: Mesh, service: str) -> tuple[str, str]:
    """The document of an attached service's row of settings, and its version."""
    return packed_settings(task_settings(mesh, service).to_json())


def container_definition(found: Sidecar, container: SidecarContainer, image: str, region: str) -> dict[str, Any]:
    """One of a sidecar's containers as Amazon ECS's API has it (RegisterTaskDefinition, ContainerDefinition)."""
    health = container.health
    definition: dict[str, Any] = {
        "name": container.name,
        "image": image,
        "essential": container.essential,
        "readonlyRootFilesystem": True,
        "stopTimeout": container.stop_timeout_s,
        "environment": [{"name": name, "value": value} for name, value in container.environment.items()],
        "healthCheck": {
            "command": list(health.command),
            "interval": health.interval_s,
            "timeout": health.timeout_s,
            "retries": health.retries,
            "startPeriod": health.start_period_s,
        },
        "linuxParameters": {
            "initProcessEnabled": False,
            "capabilities": {"drop": ["ALL"]},
            "tmpfs": [
                {"containerPath": MATERIAL_DIR, "size": container.tmpfs_mib, "mountOptions": list(MOUNT_OPTIONS)}
            ],
        },
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": found.log_group,
                "awslogs-region": region,
                "awslogs-stream-prefix": found.stream_prefix or container.name,
                "mode": "non-blocking",
                "max-buffer-size": f"{LOG_BUFFER_MIB * 1024 * 1024}b",
            },
        },
    }
    if container.start_timeout_s:
        definition["startTimeout"] = container.start_timeout_s
    if container.entry_point:
        definition["entryPoint"] = list(container.entry_point)
    if container.ports:
        definition["portMappings"] = [{"containerPort": port, "protocol": "tcp"} for port in container.ports]
    if container.after:
        definition["dependsOn"] = dependencies(container.after)
    return definition


def dependencies(after: dict[str, str] | Any) -> list[dict[str, str]]:
    """``dependsOn`` as Amazon ECS's API has it."""
    return [{"containerName": name, "condition": condition} for name, condition in after.items()]
