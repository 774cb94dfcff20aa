"""Volumes of the user's in a task: file systems of Amazon EFS, and folders that an agent of theirs fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from meshcert.mesh.services import DeclaredProxyContainer, EfsVolume

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
            task.add_to_task_role_policy(_may_mount(efs, number))

    def mount(self, envoy: ecs.ContainerDefinition, agent: ecs.ContainerDefinition | None) -> None:
        """Mount all of them into Envoy's container, and those that are the task's own into the agent's, to write to."""
        for name, path in self._mounts:
            envoy.add_mount_points(ecs.MountPoint(source_volume=name, container_path=path, read_only=True))
        if agent:
            for name, path in self._filled:
                agent.add_mount_points(ecs.MountPoint(source_volume=name, container_path=path, read_only=False))


def reach_file_systems(group: ec2.SecurityGroup, cidrs: tuple[str, ...], declared: DeclaredProxyContainer) -> None:
    """
    Let tasks whose egress is narrowed connect to the file systems' mount targets.

    Args:
        cidrs: Address ranges of the network, in which they are.
    """
    if any(volume.efs for volume in declared.volumes):
        for cidr in cidrs:
            group.add_egress_rule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(NFS), "Its file systems")


def _configuration(efs: EfsVolume) -> ecs.EfsVolumeConfiguration:
    return ecs.EfsVolumeConfiguration(
        file_system_id=efs.file_system_id,
        root_directory=None if efs.access_point_id else efs.root_directory,
        transit_encryption="ENABLED",
        authorization_config=ecs.AuthorizationConfig(iam="ENABLED", access_point_id=efs.access_point_id or None),
    )


def _may_mount(efs: EfsVolume, number: int) -> iam.PolicyStatement:
    own = f"arn:{Aws.PARTITION}:elasticfilesystem:{Aws.REGION}:{Aws.ACCOUNT_ID}"
    point = {"elasticfilesystem:AccessPointArn": f"{own}:access-point/{efs.access_point_id}"}
    return iam.PolicyStatement(
        sid=f"MountItsVolume{number}",
        actions=["elasticfilesystem:ClientMount"],
        resources=[f"{own}:file-system/{efs.file_system_id}"],
        conditions={"StringEquals": point} if efs.access_point_id else None,
    )
