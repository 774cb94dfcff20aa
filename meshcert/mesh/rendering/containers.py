"""
The containers that meshcert adds to a task: Envoy, and beside an application the one that reports readiness.

Task definitions of ours, the CDK construct for those of yours and what ``meshcert sidecar`` prints are made of these.

ECS starts containers in the order of their dependencies and stops them in the reverse order. So the ways out stand
before the application starts and until it has ended; the ways in open when it answers, and close first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.contract.container import MATERIAL_DIR, READY_FILE, USER_ID
from meshcert.contract.environment import APPLICATION_PORT, DRAIN, HEALTH_CHECK_PATH
from meshcert.contract.stopping import APPLICATION_STOP_S, DRAIN_S, envoy_stop_s, readiness_stop_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.mesh.applications.declared import ApplicationHealthCheck
    from meshcert.proxy import Listener

LONGEST_START_PERIOD_S = 300
"""The longest ``startPeriod`` of a container's health check (Amazon ECS API, HealthCheck)."""
LOG_BUFFER_MIB = 5
"""Of lines that a container's log driver keeps while CloudWatch does not take them; later ones are lost."""
MOUNT_OPTIONS = ("noexec", "nosuid", "nodev", "mode=0700", f"uid={USER_ID}", f"gid={USER_ID}")
"""Of the tmpfs at :data:`~meshcert.contract.container.MATERIAL_DIR`."""
LONGEST_START_TIMEOUT_S = 120
"""
The longest ``startTimeout`` of a container on Fargate (Amazon ECS API, ContainerDefinition).

Without it, one that waits for another's health waits for up to three hours, in a service as well: ECS replaces a task
that is not healthy once it is RUNNING, which it is when all of its containers have started (containers-roadmap#2379).
"""
HEALTHY, START = "HEALTHY", "START"
"""Conditions of a dependency (Amazon ECS API, ContainerDependency)."""


@dataclass(frozen=True)
class ContainerHealth:
    """A health check of ECS's; times in seconds."""

    command: tuple[str, ...]
    interval_s: int
    timeout_s: int
    retries: int
    start_period_s: int


@dataclass(frozen=True)
class SidecarContainer:
    """
    A container of the Envoy image.

    Its root file system is read-only, it has no Linux capability, and a tmpfs for material.

    Args:
        health: Its health check: of those of essential containers ECS makes the task's health; ``after`` heeds all.
        stop_timeout_s: How long it may take to stop, seconds.
        tmpfs_mib: Size of its tmpfs.
        entry_point: Program and arguments instead of the image's; empty for those.
        ports: TCP ports it listens on for others.
        after: The containers that it starts after, by name, each with the condition.
        essential: Whether the task ends with it. Beside a job it does not: the application's exit code decides.
        start_timeout_s: How long others wait until it is healthy, seconds; then the task ends. None if none does.
    """

    name: str
    environment: Mapping[str, str]
    health: ContainerHealth
    stop_timeout_s: int
    tmpfs_mib: int
    entry_point: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    after: Mapping[str, str] = field(default_factory=dict)
    essential: bool = True
    start_timeout_s: int | None = None


def envoy_container(
    settings: Mapping[str, str],
    listeners: tuple[Listener, ...],
    drain_s: float,
    application_stop_s: float = APPLICATION_STOP_S,
) -> SidecarContainer:
    """
    Envoy's container.

    Args:
        settings: The variables that hold the proxy's settings, or name what does.
        drain_s: How long the stopping task accepts connections, seconds.
        application_stop_s: How long its application may take to stop, seconds.
    """
    return SidecarContainer(
        name=naming.ENVOY_CONTAINER,
        environment={**settings, **_drain(drain_s)},
        # It starts a Python: 60 ms of CPU, several times that beside busy threads on a quarter of a CPU.
        health=ContainerHealth(("CMD", "python", "-m", "entrypoint.healthcheck"), 10, 10, 3, 60),
        stop_timeout_s=math.ceil(envoy_stop_s(drain_s, application_stop_s)),
        tmpfs_mib=16,
        # Its own deadlines end a start within 80 s; this is for one that hangs. Nobody waits for a gateway's.
        start_timeout_s=LONGEST_START_TIMEOUT_S,
        ports=tuple(listener.port for listener in listeners),
    )


def readiness_container(application: str, port: int, check: ApplicationHealthCheck, drain_s: float) -> SidecarContainer:
    """
    The container that reports when the application answers, and drains the task.

    Args:
        application: Name of the application's container.
        port: The application's.
        drain_s: How long the stopping task accepts connections, seconds.
    """
    return SidecarContainer(
        name=naming.READINESS_CONTAINER,
        environment={APPLICATION_PORT: str(port), HEALTH_CHECK_PATH: check.path, **_drain(drain_s)},
        # No Python: a task may have a quarter of a CPU, and this runs every five seconds.
        health=ContainerHealth(
            ("CMD", "/usr/bin/test", "-e", f"{MATERIAL_DIR}/{READY_FILE}"),
            5,
            5,
            3,
            min(check.grace_period_s, LONGEST_START_PERIOD_S),
        ),
        stop_timeout_s=math.ceil(readiness_stop_s(drain_s)),
        tmpfs_mib=1,
        entry_point=("python", "-m", "entrypoint.readiness"),
        # Both, because ECS does not follow dependencies through.
        after={application: START, naming.ENVOY_CONTAINER: HEALTHY},
    )


def _drain(drain_s: float) -> dict[str, str]:
    """Nothing for the default, which the image knows: an unchanged task definition is no new deployment."""
    return {} if drain_s == DRAIN_S else {DRAIN: f"{drain_s:g}"}
