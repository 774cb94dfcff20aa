"""The SPIFFE Workload API in a task: a volume that Envoy's container and the application's share, and who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_ecs as ecs

from meshcert.contract.container import WORKLOAD_API_DIR, WORKLOAD_API_SOCKET_PATH
from meshcert.contract.environment import SPIFFE_ENDPOINT_SOCKET, WORKLOAD_API_SOCKET, WORKLOAD_API_USERS

if TYPE_CHECKING:
    from collections.abc import Iterable

VOLUME = "workload-api"
"""The task's name for the volume."""


def share_workload_api(
    task: ecs.FargateTaskDefinition,
    envoy: ecs.ContainerDefinition,
    application: ecs.ContainerDefinition,
    users: Iterable[int],
) -> None:
    """
    Let the application ask Envoy's container for its identities.

    Only these two containers see the socket. The application's cannot replace it: it has the folder read-only, which
    does not keep it from connecting.

    Args:
        users: The only users (uid) in the application's container that may ask.
    """
    task.add_volume(name=VOLUME)
    for container, read_only in ((envoy, False), (application, True)):
        mount = ecs.MountPoint(source_volume=VOLUME, container_path=WORKLOAD_API_DIR, read_only=read_only)
        container.add_mount_points(mount)
    envoy.add_environment(WORKLOAD_API_SOCKET, WORKLOAD_API_SOCKET_PATH)
    envoy.add_environment(WORKLOAD_API_USERS, ",".join(map(str, users)))
    application.add_environment(SPIFFE_ENDPOINT_SOCKET, f"unix://{WORKLOAD_API_SOCKET_PATH}")
