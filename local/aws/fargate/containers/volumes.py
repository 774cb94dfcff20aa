"""The volumes of a task that are its own: folders that its containers share, and that end with it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.aws.fargate.containers.sandbox import Bind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.fargate.containers.definitions import ContainerDefinition
    from local.aws.fargate.containers.images import Image


class TaskVolumes:
    """
    The folders of one task's volumes, made when a container first mounts them.

    As on Fargate, a volume is root's unless an image declares its folder (ECS guide, "Bind mounts"): the user of an
    image that does not can only read there. Whom the image gives the folder to is not looked at.
    """

    def __init__(self) -> None:
        self._folders: dict[str, Path] = {}

    def binds(self, container: ContainerDefinition, image: Image, task: Mapping[str, Any]) -> tuple[Bind, ...]:
        """
        What a container mounts.

        Args:
            task: The task definition. Of its volumes, file systems and others that are not the task's own are left out.
        """
        own = {item["name"] for item in task.get("volumes") or () if not _lies_elsewhere(item)}
        return tuple(
            Bind(
                str(self._folder(mount.volume)),
                mount.path,
                read_only=mount.read_only or (image.user_id != 0 and mount.path not in image.volumes),
            )
            for mount in container.mounts
            if mount.volume in own
        )

    def remove(self) -> None:
        """Remove them with what is in them."""
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()

    def _folder(self, volume: str) -> Path:
        if volume not in self._folders:
            # Not in the state directory: a socket's path has 107 bytes at most.
            self._folders[volume] = Path(tempfile.mkdtemp(prefix="meshcert-volume-"))
            self._folders[volume].chmod(0o755)
        return self._folders[volume]


def _lies_elsewhere(volume: Mapping[str, Any]) -> bool:
    kinds = ("efsVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration", "dockerVolumeConfiguration")
    return bool((volume.get("host") or {}).get("sourcePath")) or any(volume.get(kind) for kind in kinds)
