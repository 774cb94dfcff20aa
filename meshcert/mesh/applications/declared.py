"""The application of a service: its container, as far as the mesh file says it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from meshcert.mesh.applications.task_policies import TaskPolicies
from meshcert.mesh.applications.volumes import ApplicationVolume
from meshcert.mesh.part import Part, Port, Seconds

HTTPS = 443
"""TCP port at which every task may connect to any host, whatever its ``egress``: AWS's APIs are reached there."""
VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,254}"
"""A name that shells, ``env`` and frameworks take; ECS itself takes any."""
_VARIABLES: dict[str, Any] = {"propertyNames": {"pattern": f"^{VARIABLE_NAME}$"}}


class ApplicationHealthCheck(Part, title="HealthCheck"):
    """When a task is ready: its application answers. Until then the task refuses connections."""

    path: Annotated[str, Field(pattern=r"^(/[!-~]*)?$")] = ""
    """Path that has to answer a GET with 200 to 299. Left out: a TCP connection is enough."""
    grace_period_s: Annotated[int, Strict(), Field(ge=0, le=900)] = 120
    """How long a task may take until it is ready, seconds; only then does ECS replace it."""
    command: tuple[str, ...] = Field(default=(), min_length=2, max_length=64, examples=[["CMD", "/bin/check"]])
    """Run in the application's container, as in ECS (`CMD`, or `CMD-SHELL` and a line): exit code 0 is healthy."""
    interval_s: Annotated[int, Strict(), Field(ge=5, le=300)] = 10
    """Between two runs of the command, seconds."""
    timeout_s: Annotated[int, Strict(), Field(ge=2, le=60)] = 5
    """How long a run may take, seconds."""
    retries: Annotated[int, Strict(), Field(ge=1, le=10)] = 3
    """Failures of the command in a row until ECS replaces the task."""


class EgressRule(Part):
    """Hosts that a task may connect to beside what the mesh itself needs: exactly one kind of hosts."""

    cidr: str = Field(default="", examples=["10.20.0.0/16"])
    """IPv4 addresses; or prefix_list or security_group."""
    prefix_list: Annotated[str, Field(pattern=r"^(pl-[0-9a-f]{8,17})?$")] = ""
    """Id of a prefix list; or cidr or security_group."""
    security_group: Annotated[str, Field(pattern=r"^(sg-[0-9a-f]{8,17})?$")] = ""
    """Id of a security group; or cidr or prefix_list."""
    ports: tuple[Port, ...] = Field(min_length=1, examples=[[5432]])
    """Their ports."""
    protocol: Literal["tcp", "udp"] = "tcp"
    """`tcp` or `udp`."""


UserId = Annotated[int, Strict(), Field(ge=0, le=2**32 - 2)]


class Application(Part):
    """The container behind a virtual node's proxy."""

    image: str = Field(default="", max_length=255, examples=["examples/color/colorteller"])
    """A folder with a Dockerfile, from the repository's root, or else the image to pull; not of an attached service."""
    port: Port = Field(examples=[8080])
    """TCP port it listens on, on loopback."""
    keep_alive_s: Seconds = 2.0
    """How long the application keeps an idle connection, seconds: the proxy leaves one after half of that."""
    health_check: ApplicationHealthCheck = ApplicationHealthCheck()
    """How the task finds out that the application is ready, and still answers."""
    drop_capabilities: Annotated[bool, Strict()] = False
    """`true`: the container has no Linux capabilities; an image that starts as root and steps down would not start."""
    proxy_environment: Annotated[bool, Strict()] = False
    """`true`: HTTP_PROXY and its relatives lead the application's plain HTTP requests to the egress listener."""
    entry_point: tuple[str, ...] = Field(default=(), min_length=1, max_length=64, examples=[["/bin/server"]])
    """Program and arguments instead of the image's ENTRYPOINT, and of its CMD; no shell reads them."""
    command: tuple[str, ...] = Field(default=(), min_length=1, max_length=64, examples=[["--workers", "4"]])
    """Arguments instead of the image's CMD; no shell reads them."""
    user: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]{1,32}(:[A-Za-z0-9._-]{1,32})?)?$")] = ""
    """User, or USER:GROUP, by name or number, instead of the image's USER."""
    working_directory: Annotated[str, Field(pattern=r"^(/[!-~]{0,254})?$")] = ""
    """Folder in which it starts, instead of the image's WORKDIR."""
    environment: dict[str, str] = Field(default={}, examples=["{LOG_LEVEL: info}"], json_schema_extra=_VARIABLES)
    """Environment variables; they stand in the task definition in clear."""
    secrets: dict[str, str] = Field(
        default={},
        examples=["{PASSWORD: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf:password::'}"],
        json_schema_extra=_VARIABLES,
    )
    """Environment variables that ECS fills when a task starts, by ARN: from Secrets Manager, or an SSM parameter."""
    secret_keys: tuple[str, ...] = Field(default=(), max_length=20)
    """ARNs of the KMS keys that these are encrypted with, where they are keys of yours."""
    task_policies: TaskPolicies = TaskPolicies()
    """What it may do in AWS: policies of yours on the role of its tasks."""
    volumes: tuple[ApplicationVolume, ...] = Field(default=(), max_length=20)
    """Where it may write."""
    cpu: Annotated[int, Strict(), Field(ge=0, le=16384)] = 0
    """CPU units of the service's cpu that it is sure of where containers compete; 0: no share of its own."""
    memory_mib: Annotated[int, Strict(), Field(ge=0, le=122880)] = 0
    """MiB at which it is killed, and Envoy is not; 0: what the task has."""
    stop_timeout_s: Annotated[int, Strict(), Field(ge=2, le=110)] = 30
    """From SIGTERM to SIGKILL, seconds."""
    egress: tuple[EgressRule, ...] | None = None
    """Where the task may connect to, beside what the mesh itself needs; `[]` is nothing else. Left out: anywhere."""
