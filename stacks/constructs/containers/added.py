"""A container of meshcert's, added to a task definition of ours or of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Duration
from aws_cdk import aws_ecs as ecs

from meshcert.contract.container import MATERIAL_DIR
from meshcert.mesh.rendering.containers import MOUNT_OPTIONS

if TYPE_CHECKING:
    from constructs import Construct

    from meshcert.mesh.rendering.containers import SidecarContainer


def add_container(
    task: ecs.TaskDefinition,
    container: SidecarContainer,
    image: ecs.ContainerImage,
    logging: ecs.LogDriver,
    linux: ecs.LinuxParameters,
) -> ecs.ContainerDefinition:
    """
    Add a container with its tmpfs, and without the containers that it starts after.

    Args:
        linux: From :func:`without_capabilities`.
    """
    health = container.health
    added = task.add_container(
        container.name,
        image=image,
        entry_point=list(container.entry_point) or None,
        essential=container.essential,
        readonly_root_filesystem=True,
        linux_parameters=linux,
        start_timeout=Duration.seconds(container.start_timeout_s) if container.start_timeout_s else None,
        stop_timeout=Duration.seconds(container.stop_timeout_s),
        environment=dict(container.environment),
        port_mappings=[ecs.PortMapping(container_port=port) for port in container.ports] or None,
        health_check=ecs.HealthCheck(
            command=list(health.command),
            interval=Duration.seconds(health.interval_s),
            timeout=Duration.seconds(health.timeout_s),
            retries=health.retries,
            start_period=Duration.seconds(health.start_period_s),
        ),
        logging=logging,
    )
    # The CDK's own options take no values, so owner and mode would be lost.
    tmpfs = {"ContainerPath": MATERIAL_DIR, "Size": container.tmpfs_mib, "MountOptions": list(MOUNT_OPTIONS)}
    override_newest(task, "LinuxParameters.Tmpfs", [tmpfs])
    return added


def without_capabilities(scope: Construct, construct_id: str) -> ecs.LinuxParameters:
    """No Linux capabilities, and no process of Docker's before the container's own."""
    linux = ecs.LinuxParameters(scope, construct_id, init_process_enabled=False)
    # The image's user is nobody special, so nothing in it needs one.
    linux.drop_capabilities(ecs.Capability.ALL)
    return linux


def override_newest(task: ecs.TaskDefinition, name: str, value: list[dict[str, Any]]) -> None:
    """Write a property of the container that was added last, as it is."""
    override(task, sum(isinstance(child, ecs.ContainerDefinition) for child in task.node.children) - 1, name, value)


def override(task: ecs.TaskDefinition, number: int, name: str, value: list[dict[str, Any]]) -> None:
    """Write a property of a container as it is, by the container's number."""
    definition: Any = task.node.default_child
    definition.add_property_override(f"ContainerDefinitions.{number}.{name}", value)
