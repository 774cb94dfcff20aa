"""The services on Amazon ECS: one for each proxy."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, Strict

from meshcert.contract.stopping import DRAIN_S, LONGEST_STOP_S
from meshcert.mesh.applications.attached import CLUSTER_PATTERN, Attachment
from meshcert.mesh.applications.declared import Application, UserId
from meshcert.mesh.applications.volumes import EfsVolume
from meshcert.mesh.load_balancers import Balanced
from meshcert.mesh.part import ContainerPath, OutsideClients, Part, Port, Seconds
from meshcert.proxy import DeliveryMode, RotationMode
from meshcert.tls_sources import LONGEST_SOCKET_PATH, PATH_PATTERN


class Cluster(Part):
    """The ECS cluster the services run in."""

    existing: Annotated[
        str,
        Field(pattern=f"^({CLUSTER_PATTERN})?$", examples=["shop"]),
    ] = ""
    """Name or ARN of a cluster of yours in this account and region, which nothing changes; left out: made."""
    container_insights: Annotated[bool, Strict()] = False
    """`true`: CloudWatch Container Insights for the cluster, which costs money; nothing of meshcert's reads it."""


class Metrics(Part):
    """What Envoys count, for Prometheus: `GET /metrics` in plain text."""

    port: Port = 9464
    """TCP port of every task."""
    scrapers: tuple[OutsideClients, ...] = Field(min_length=1)
    """Whom the tasks' security groups admit to it."""


_LOG_GROUP = re.compile(r"(arn:aws[a-z-]*:logs:[a-z0-9-]+:\d{12}:log-group:)?([A-Za-z0-9_./#-]{1,512})(:\*)?")
"""Name or ARN of a log group (logs:CreateLogGroup); the console shows ARNs with what follows them in policies."""


class Logs(Part):
    """Where the tasks' containers write what they say."""

    group_per_service: Annotated[bool, Strict()] = False
    """`true`: a log group for each service, `/meshcert/MESH/SERVICE`. Left out: one for all, `/meshcert/MESH`."""
    existing: Annotated[str, Field(pattern=f"^({_LOG_GROUP.pattern})?$", examples=["/shop/tasks"])] = ""
    """Name or ARN of a log group of yours in this account and region, for all services; left out: made."""
    keep_made: Annotated[bool, Strict()] = False
    """`true`, with `existing`: what a deploy had made before stays, with its lines, until a deploy without this."""

    @property
    def existing_name(self) -> str:
        """Name of the log group of yours; empty without."""
        found = _LOG_GROUP.fullmatch(self.existing)
        return found.group(2) if found else ""

    @property
    def makes_shared(self) -> bool:
        """Whether a deploy has, or keeps, a log group of the mesh's own for all services."""
        return self._are_made and not self.group_per_service

    @property
    def makes_each(self) -> bool:
        """Whether a deploy has, or keeps, a log group of the mesh's own for each service."""
        return self._are_made and self.group_per_service

    @property
    def are_apart(self) -> bool:
        """Whether each service writes to a log group of its own; else their streams are told apart."""
        return self.group_per_service and not self.existing

    @property
    def _are_made(self) -> bool:
        return not self.existing or self.keep_made


class ProxyVolume(Part, title="Volume"):
    """A volume of a task, mounted into Envoy's container read-only."""

    container_path: ContainerPath
    """Where Envoy's container sees it."""
    efs: EfsVolume | None = None
    """Left out: an empty folder of the task, which `agent` fills."""


class Agent(Part):
    """A container of yours beside Envoy's, for example an SDS server; it runs before Envoy starts."""

    image: str = Field(min_length=1, max_length=255, examples=["examples/agent"])
    """A folder with a Dockerfile, from the repository's root, or else the image to pull."""


class DeclaredProxyContainer(Part, title="Proxy"):
    """What Envoy's container gets from you."""

    volumes: tuple[ProxyVolume, ...] = Field(default=(), max_length=10)
    """Volumes with certificates and roots of yours."""
    sds_socket_path: Annotated[str, Field(pattern=f"^({PATH_PATTERN})?$", max_length=LONGEST_SOCKET_PATH)] = ""
    """Unix socket of an SDS server of yours, on one of the volumes; Envoy asks there for what `sds` names."""
    agent: Agent | None = None
    """A container that writes to the volumes that are not EFS's."""


POLL_INTERVAL_S = 60.0
LONGER_POLL_INTERVALS_S = ((200, 240.0), (100, 120.0))
"""
How long tasks wait by default in a mesh of more services than this, seconds.

A task that watches three secrets asks for $0.73 a month at 60 seconds (secretsmanager:DescribeSecret). So those of 400
services cost what those of 100 do.
"""
LOOKS_IN_A_LIFE = 360
"""Such waits in the shortest life of a certificate, at least: four minutes each in a day, one minute in six hours."""


class DeclaredService(Part, title="Service"):
    """An ECS service that runs one proxy, and its application if it is a virtual node's."""

    cell: str = ""
    """The cell it runs in, in a mesh with cells."""
    virtual_gateway: str = ""
    """The virtual gateway it runs; or virtual_node."""
    virtual_node: str = ""
    """The virtual node it runs; or virtual_gateway."""
    attached: Attachment | None = None
    """An ECS service or a job of yours, for which no task definition and no service is made."""
    application: Application | None = None
    """The application; a virtual node needs one, a virtual gateway and a job have none."""
    proxy: DeclaredProxyContainer = DeclaredProxyContainer()
    """Volumes and an agent of yours, for certificates from `file` and `sds`."""
    workload_api: Annotated[bool, Strict()] = False
    """`true`: the SPIFFE Workload API gives the application the identities of its task, with their keys in clear."""
    workload_api_users: tuple[UserId, ...] = Field(default=(0,), min_length=1, max_length=32)
    """With workload_api: users (uid) in the application's container that may ask; an image without USER runs as 0."""
    rotation: RotationMode = RotationMode.RELOAD
    """`reload`: running tasks install a new certificate; `redeploy`: a new ECS deployment takes it over."""
    delivery: DeliveryMode = DeliveryMode.FILE
    """`file`: Envoy reads its secrets from the task's tmpfs; `sds`: over a Unix socket, and no key touches a file."""
    poll_interval_s: Seconds | None = None
    """Longest time between two looks for a new certificate, seconds; jitter only shortens it. Left out: 60, or more."""
    max_connection_duration_s: Seconds = 600.0
    """Longest life of an HTTP connection, seconds; only new ones see a new certificate."""
    drain_s: Annotated[float, Strict(), Field(gt=0, le=LONGEST_STOP_S)] = DRAIN_S
    """How long a stopping task still accepts connections, seconds; requests get that long and 5 seconds more."""
    cut_tcp_sessions: Annotated[bool, Strict()] = False
    """`true`: a `tcp` session that is as old is cut, wherever it is; TCP cannot ask anybody to leave."""
    desired_count: Annotated[int, Strict(), Field(ge=0, le=1000)] = 2
    """Number of tasks; with scaler, about how many there will be, for costs and forecasts: none is set."""
    scaler: Annotated[bool, Strict()] = False
    """`true`: the number of tasks is a scaler's of yours; ECS begins with one, and no deploy sets it."""
    minimum_healthy_percent: Annotated[int, Strict(), Field(ge=0, le=100)] = 100
    """Share of the tasks that serve on while others are replaced, rounded up; below 100 some stop first."""
    maximum_percent: Annotated[int, Strict(), Field(ge=100, le=400)] = 200
    """How many tasks there may be meanwhile, old and new, rounded down."""
    tags: dict[str, str] = Field(default={}, examples=["{team: orders}"])
    """Tags of yours: of the service, its tasks, its log group, its security group and its role."""
    cpu: Literal[256, 512, 1024, 2048, 4096, 8192, 16384] = 256
    """CPU units of a task, as Fargate offers them."""
    memory_mib: Annotated[int, Strict()] = 512
    """Memory of a task in MiB; Fargate offers certain sizes for each cpu."""
    load_balancer: Balanced = None
    """For virtual gateways: `true` makes an internal network load balancer; or what it is like, or which of yours."""

    @property
    def proxy_place(self) -> str:
        """The place in the mesh file of the virtual node or gateway it runs."""
        if self.virtual_gateway:
            return f"virtual_gateways.{self.virtual_gateway}"
        return f"virtual_nodes.{self.virtual_node}"

    @property
    def is_job(self) -> bool:
        """Whether its tasks end by themselves: no ECS service runs them, and nobody calls them."""
        return self.attached is not None and self.attached.job

    @property
    def images(self) -> tuple[str, ...]:
        """The images of its containers beside Envoy's."""
        return tuple(part.image for part in (self.application, self.proxy.agent) if part and part.image)

    @property
    def mounts_file_systems(self) -> bool:
        """Whether its tasks mount a file system of Amazon EFS."""
        application = self.application.volumes if self.application else ()
        return any(volume.efs for volume in self.proxy.volumes) or any(volume.efs for volume in application)
