"""
How callers find an application's tasks, how much reaches it at once, and when they leave one out; in App Mesh's fields.

Limits are those of the App Mesh API (version 2019-01-25).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Strict

from meshcert import host_policies
from meshcert.mesh.part import Limit, Part, Port
from meshcert.mesh.routing.ports import NodeProtocol

Count = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
Threshold = Annotated[int, Strict(), Field(ge=2, le=10)]


class ConnectionsAndRequests(Part, title="HttpConnectionPool"):
    """Limits of an application that speaks `http`."""

    max_connections: Count = Field(examples=[100])
    """Connections to the application at once."""
    max_pending_requests: Count | None = Field(default=None, examples=[10])
    """Requests that wait for a connection at most; more are answered with 503. Left out: any number."""


class Requests(Part, title="Http2ConnectionPool"):
    """Limits of an application that speaks `http2` or `grpc`."""

    max_requests: Count = Field(examples=[1000])
    """Requests at the application at once; more are answered with 503."""


class Connections(Part, title="TcpConnectionPool"):
    """Limits of an application that speaks `tcp`."""

    max_connections: Count = Field(examples=[100])
    """Connections to the application at once."""


class DeclaredConnectionPool(Part, title="ConnectionPool"):
    """How much reaches the application of one task at once: under the listener's protocol."""

    http: ConnectionsAndRequests | None = None
    """For a listener that speaks http."""
    http2: Requests | None = None
    """For a listener that speaks http2."""
    grpc: Requests | None = None
    """For a listener that speaks grpc."""
    tcp: Connections | None = None
    """For a listener that speaks tcp."""

    @property
    def limits(self) -> host_policies.ConnectionPool:
        """The limits, whatever the protocol."""
        connections, requests = self.http or self.tcp, self.http2 or self.grpc
        return host_policies.ConnectionPool(
            max_connections=connections.max_connections if connections else 0,
            max_pending_requests=(self.http.max_pending_requests or 0) if self.http else 0,
            max_requests=requests.max_requests if requests else 0,
        )


class DeclaredOutlierDetection(Part, title="OutlierDetection"):
    """When callers leave a task out because of what it answers."""

    max_server_errors: Count = Field(examples=[5])
    """Answers of 500 and above, one after the other."""
    interval: Limit = Field(examples=[10.0])
    """How often tasks that were left out are looked at, seconds."""
    base_ejection_duration: Limit = Field(examples=[30.0])
    """How long a task is left out, seconds; it grows by this with each time in a row, up to five minutes."""
    max_ejection_percent: Annotated[int, Strict(), Field(ge=0, le=100)] = Field(examples=[50])
    """Share of the tasks that may be left out at once; one always may."""

    @property
    def rule(self) -> host_policies.OutlierDetection:
        """The rule, as the settings of callers hold it."""
        return host_policies.OutlierDetection(
            self.max_server_errors, self.interval, self.base_ejection_duration, self.max_ejection_percent
        )


class ListenerHealthCheck(Part, title="HealthCheckPolicy"):
    """How each caller asks each task whether it is well: callers times tasks, at every interval."""

    protocol: NodeProtocol = Field(examples=["http"])
    """The listener's."""
    healthy_threshold: Threshold = Field(examples=[2])
    """Good answers in a row until a task gets requests again."""
    unhealthy_threshold: Threshold = Field(examples=[2])
    """Bad answers in a row until it gets none."""
    interval_millis: Annotated[int, Strict(), Field(ge=5000, le=300_000)] = Field(examples=[5000])
    """Between two questions, milliseconds."""
    timeout_millis: Annotated[int, Strict(), Field(ge=2000, le=60_000)] = Field(examples=[2000])
    """Longest wait for an answer, milliseconds."""
    path: str = Field(default="", examples=["/healthz"])
    """Of `http` and `http2`: the path that is asked for. Left out: `/`."""
    port: Port | None = None
    """The listener's; nothing else can be asked."""

    @property
    def rule(self) -> host_policies.HealthCheck:
        """The rule, as the settings of callers hold it."""
        return host_policies.HealthCheck(
            self.healthy_threshold,
            self.unhealthy_threshold,
            self.interval_millis / 1000,
            self.timeout_millis / 1000,
            self.path,
        )


class ResponseType(StrEnum):
    """What the addresses are that DNS answers with (App Mesh's DnsResponseType)."""

    LOADBALANCER = "LOADBALANCER"
    ENDPOINTS = "ENDPOINTS"


class DnsServiceDiscovery(Part):
    """How callers find hosts by DNS."""

    hostname: str = Field(examples=["ledger.example.com"])
    """A DNS name; callers use the port of the node's listener."""
    response_type: ResponseType = ResponseType.LOADBALANCER
    """`LOADBALANCER`: all addresses lead to one host, as a load balancer's do; `ENDPOINTS`: each address is a task."""


def _each_address_a_task(value: Any) -> Any:
    """A name alone, as files of before have it, with what it means."""
    return {"hostname": value, "response_type": ResponseType.ENDPOINTS} if isinstance(value, str) else value


def _or_a_name(schema: dict[str, Any]) -> None:
    """In the JSON Schema, a name alone beside the mapping."""
    schema["anyOf"] = [{"$ref": schema.pop("$ref")}, {"type": "string"}]


class ServiceDiscovery(Part):
    """How callers find a virtual node's tasks."""

    dns: Annotated[DnsServiceDiscovery, BeforeValidator(_each_address_a_task)] = Field(
        examples=["ledger.example.com"], json_schema_extra=_or_a_name
    )
    """A DNS name, each of whose addresses is a task; or its `hostname` and `response_type`, as App Mesh has them."""
