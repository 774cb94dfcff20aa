"""Volumes of the user's in a task: file systems of Amazon EFS, and folders that an agent of theirs fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.mesh.applications.volumes import ApplicationVolume, EfsVolume
    from meshcert.mesh.services import DeclaredProxyContainer, DeclaredService

_MEMORY = ("nosuid", "nodev", "noexec", "mode=1777")
"""As Docker mounts a tmpfs, said so that nobody has to know: every user may write, nothing in it runs."""
NFS = 2049
"""TCP port of a mount target (Amazon EFS guide, "Mount targets")."""


class ProxyVolumes:
    """
    The volumes of one task, added to it.

    Envoy's container sees them read-only. What goes to a file system is encrypted, and the task shows its role there,
    so a policy of the file system may name it.

    Args:
        task: Has no volumes yet.
        declared: What the mesh file says of them.
    """

    def __init__(self, task: ecs.FargateTaskDefinition, declared: DeclaredProxyContainer) -> None:
        self._mounts: list[tuple[str, str]] = []
        self._filled: list[tuple[str, str]] = []
        for index, volume in enumerate(declared.volumes):
            name = f"proxy-{index}"
            task.add_volume(name=name, efs_volume_configuration=_configuration(volume.efs) if volume.efs else None)
            mount = (name, volume.container_path)
            self._mounts.append(mount)
            if not volume.efs:
                self._filled.append(mount)
        for number, efs in enumerate({volume.efs: None for volume in declared.volumes if volume.efs}):
            task.add_to_task_role_policy(_may_mount(efs, f"MountItsVolume{number}", writes=False))

    def mount(self, envoy: ecs.ContainerDefinition, agent: ecs.ContainerDefinition | None) -> None:
        """Mount all of them into Envoy's container, and those that are the task's own into the agent's, to write to."""
        for name, path in self._mounts:
            envoy.add_mount_points(ecs.MountPoint(source_volume=name, container_path=path, read_only=True))
        if agent:
            for name, path in self._filled:
                agent.add_mount_points(ecs.MountPoint(source_volume=name, container_path=path, read_only=False))


def mount_volumes(
    task: ecs.FargateTaskDefinition, container: ecs.ContainerDefinition, volumes: Sequence[ApplicationVolume]
) -> list[dict[str, Any]]:
    """
    Give an application's container its folders.

    Returns:
        Those in memory, as the property ``Tmpfs``: the CDK's own options take no mode.
    """
    for number, volume in enumerate(volumes):
        if volume.tmpfs_mib:
            continue
        name = f"application-{number}"
        task.add_volume(name=name, efs_volume_configuration=_configuration(volume.efs) if volume.efs else None)
        container.add_mount_points(
            ecs.MountPoint(source_volume=name, container_path=volume.container_path, read_only=volume.read_only)
        )
        if volume.efs:
            statement = _may_mount(volume.efs, f"MountItsApplicationsVolume{number}", writes=not volume.read_only)
            task.add_to_task_role_policy(statement)
    return [
        {"ContainerPath": volume.container_path, "Size": volume.tmpfs_mib, "MountOptions": list(_MEMORY)}
        for volume in volumes
        if volume.tmpfs_mib
    ]


def reach_file_systems(group: ec2.ISecurityGroup, cidrs: tuple[str, ...], declared: DeclaredService) -> None:
    """
    Let tasks whose egress is narrowed connect to the file systems' mount targets.

    Args:
        cidrs: Address ranges of the network, in which they are.
    """
    its_application = declared.application.volumes if declared.application else ()
    if any(volume.efs for volume in declared.proxy.volumes) or any(volume.efs for volume in its_application):
        for cidr in cidrs:
            group.add_egress_rule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(NFS), "Its file systems")


def _configuration(efs: EfsVolume) -> ecs.EfsVolumeConfiguration:
    return ecs.EfsVolumeConfiguration(
        file_system_id=efs.file_system_id,
        root_directory=None if efs.access_point_id else efs.root_directory,
        transit_encryption="ENABLED",
        authorization_config=ecs.AuthorizationConfig(iam="ENABLED", access_point_id=efs.access_point_id or None),
    )


def _may_mount(efs: EfsVolume, sid: str, *, writes: bool) -> iam.PolicyStatement:
    own = f"arn:{Aws.PARTITION}:elasticfilesystem:{Aws.REGION}:{Aws.ACCOUNT_ID}"
    point = {"elasticfilesystem:AccessPointArn": f"{own}:access-point/{efs.access_point_id}"}
    return iam.PolicyStatement(
        sid=sid,
        actions=["elasticfilesystem:ClientMount", *(["elasticfilesystem:ClientWrite"] if writes else ())],
        resources=[f"{own}:file-system/{efs.file_system_id}"],
        conditions={"StringEquals": point} if efs.access_point_id else None,
    )
