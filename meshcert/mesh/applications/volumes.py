"""Where an application may write, and the file systems that tasks mount."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from meshcert.mesh.part import ContainerPath, Part


class EfsVolume(Part):
    """A file system of Amazon EFS, with a mount target in the mesh's network."""

    file_system_id: Annotated[str, Field(pattern=r"^fs-[0-9a-f]{8,40}$", examples=["fs-0123456789abcdef0"])]
    """Its id."""
    access_point_id: Annotated[str, Field(pattern=r"^(fsap-[0-9a-f]{8,40})?$")] = ""
    """Id of an access point, through which the task sees no more than its folder."""
    root_directory: Annotated[str, Field(pattern=r"^/[!-~]{0,199}$")] = "/"
    """Folder to mount; with an access point, that one says it."""


class ApplicationVolume(Part):
    """A folder that the application may write to: its root filesystem is read-only."""

    container_path: ContainerPath
    """Where the container sees it."""
    tmpfs_mib: Annotated[int, Strict(), Field(ge=1, le=65536)] | None = None
    """In memory, of so many MiB, for every user; or efs. Neither: on the task's disk."""
    efs: EfsVolume | None = None
    """A file system that outlives the task; or tmpfs_mib."""
    read_only: Annotated[bool, Strict()] = False
    """`true`: it may only read there; of a file system."""
