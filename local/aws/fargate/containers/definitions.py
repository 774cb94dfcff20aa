"""Container definitions as ECS keeps them (camel case), read into typed values with ECS's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.aws.fargate.containers.sandbox import Tmpfs

if TYPE_CHECKING:
    from collections.abc import Mapping

_STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class HealthCheck:
    """
    A container health check.

    Args:
        argv: Program and arguments; CMD-SHELL is already spelled out as ``/bin/sh -c``.
        interval_s: Seconds between checks.
        timeout_s: Seconds after which a check counts as failed.
        retries: Consecutive failures until the container is UNHEALTHY.
        start_period_s: Seconds after the start in which failures do not count.
    """

    argv: tuple[str, ...]
    interval_s: float = 30.0
    timeout_s: float = 5.0
    retries: int = 3
    start_period_s: float = 0.0

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> HealthCheck | None:
        """The check a definition declares, or None."""
        kind, *words = (value or {}).get("command") or ["NONE"]
        if value is None or kind == "NONE":
            return None
        programs = {"CMD": tuple(words), "CMD-SHELL": ("/bin/sh", "-c", *words)}
        return cls(
            programs.get(kind, (kind, *words)),
            float(value.get("interval") or 30),
            float(value.get("timeout") or 5),
            int(value.get("retries") or 3),
            float(value.get("startPeriod") or 0),
        )


@dataclass(frozen=True)
class Mount:
    """
    A mount point.

    Args:
        volume: Name of the task's volume.
        path: Where the container sees it.
        read_only: Whether the container may only read there.
    """

    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class ContainerDefinition:
    """
    What this runner honours of a container definition.

    Of volumes it honours those that are the task's own. File systems, ulimits, resource limits, links and restart
    policies are accepted and ignored.

    Args:
        name: Unique in its task.
        image: Image reference.
        essential: Whether the task stops with it.
        environment: Environment variables of the definition and of the task's overrides.
        entrypoint: Replaces the image's ENTRYPOINT and CMD, if given.
        command: Replaces the image's CMD, if given.
        working_directory: Replaces the image's WORKDIR, if given.
        user: Replaces the image's USER, if given.
        depends_on: Condition (START, COMPLETE, SUCCESS, HEALTHY) by container name.
        start_timeout_s: How long others wait until it meets their condition; None if for as long as the task lasts.
        stop_timeout_s: Seconds between SIGTERM and SIGKILL.
        read_only: Whether its root file system is read-only.
        mounts: Of volumes.
    """

    name: str
    image: str
    essential: bool
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    working_directory: str | None
    user: str | None
    depends_on: Mapping[str, str]
    health_check: HealthCheck | None
    start_timeout_s: float | None
    stop_timeout_s: float
    read_only: bool
    tmpfs: tuple[Tmpfs, ...]
    mounts: tuple[Mount, ...]

    @classmethod
    def read(
        cls, value: Mapping[str, Any], override: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> ContainerDefinition:
        """
        One container definition with what the task overrides.

        Args:
            override: Its entry of ``containerOverrides``, or an empty mapping.
            secrets: Values of its ``secrets``, by variable name.
        """
        command = override.get("command", value.get("command"))
        entrypoint = value.get("entryPoint")
        return cls(
            name=value["name"],
            image=value["image"],
            essential=bool(value.get("essential", True)),
            environment={**_variables(value), **secrets, **_variables(override)},
            entrypoint=tuple(entrypoint) if entrypoint else None,
            command=tuple(command) if command else None,
            working_directory=value.get("workingDirectory"),
            user=value.get("user"),
            depends_on={item["containerName"]: item["condition"] for item in value.get("dependsOn") or ()},
            health_check=HealthCheck.read(value.get("healthCheck")),
            start_timeout_s=float(value["startTimeout"]) if value.get("startTimeout") else None,
            stop_timeout_s=float(value.get("stopTimeout") or _STOP_TIMEOUT_S),
            read_only=bool(value.get("readonlyRootFilesystem")),
            tmpfs=tuple(_tmpfs(item) for item in (value.get("linuxParameters") or {}).get("tmpfs") or ()),
            mounts=tuple(
                Mount(item["sourceVolume"], item["containerPath"], bool(item.get("readOnly")))
                for item in value.get("mountPoints") or ()
            ),
        )


def _variables(value: Mapping[str, Any]) -> dict[str, str]:
    return {item["name"]: str(item["value"]) for item in value.get("environment") or ()}


def _tmpfs(value: Mapping[str, Any]) -> Tmpfs:
    # uid and gid cannot be honoured: a user namespace made without rights knows one user, the caller.
    options = dict(option.partition("=")[::2] for option in value.get("mountOptions") or ())
    return Tmpfs(value["containerPath"], int(value["size"]), options.get("mode", "0755"))
