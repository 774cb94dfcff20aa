"""An ECS service, or tasks that end, of the user's that Envoy joins as a sidecar."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, Strict

from meshcert.mesh.part import Part

CLUSTER_PATTERN = r"(arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:cluster/)?[A-Za-z0-9_-]{1,255}"
"""Name or ARN of an ECS cluster."""
_ROLE = "[A-Za-z0-9_+=,.@-]{1,64}"


class Architecture(StrEnum):
    """A CPU architecture that tasks run on, as a deploy's context calls it."""

    ARM64 = "arm64"
    X86_64 = "x86_64"

    @property
    def of_ecs(self) -> str:
        """As a task definition calls it (ECS: RuntimePlatform.cpuArchitecture)."""
        return self.upper()


class Attachment(Part, title="Attached"):
    """A service or job of yours on ECS: you keep its task definition, and `meshcert sidecar` says what to add to it."""

    cluster: Annotated[str, Field(pattern=f"^({CLUSTER_PATTERN})?$", examples=["shop"])] = ""
    """Name or ARN of its cluster, in this account and region; a job has none."""
    service: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,255}$", examples=["orders"])] = ""
    """Its name there; a job has none."""
    job: Annotated[bool, Strict()] = False
    """`true`: tasks that end by themselves, which RunTask, a schedule or Step Functions starts, in any cluster."""
    task_definition: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,255}$", examples=["nightly-report"])] = ""
    """With job: family of its task definition."""
    container: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,255}$", examples=["app"])] = ""
    """Name of the application's container in your task definition; a virtual gateway has none."""
    security_group: Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8,17}$", examples=["sg-0123456789abcdef0"])]
    """Id of your tasks' security group: callers and backends get rules for it, and nothing else of it changes."""
    task_role: Annotated[str, Field(pattern=f"^(({_ROLE}/)*{_ROLE})?$", max_length=512, examples=["orders-task"])] = ""
    """Name of its task role, with its path; needed where it calls a cell that is found by `discovery: role`."""
    architecture: Architecture | None = None
    """`arm64` or `x86_64`, on which its tasks run; its Envoy is built for that. Left out: that of the deploy."""
    cloud_map_service: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,63}$", examples=["orders"])] = ""
    """Name of a Cloud Map service of yours, in the mesh's namespace, that has your tasks; left out: made."""

    @property
    def cluster_name(self) -> str:
        """Name of its cluster."""
        return self.cluster.rpartition("/")[2]
