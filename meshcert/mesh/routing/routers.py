"""Virtual routers and their routes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from meshcert.mesh.part import Part, Port
from meshcert.mesh.routing.limits import RequestTimeouts, SessionTimeouts
from meshcert.mesh.routing.matches import GrpcMatch, HttpMatch, Priority, TcpMatch
from meshcert.mesh.routing.ports import NodePort
from meshcert.mesh.routing.retries import GrpcRetryPolicy, HttpRetryPolicy

Weight = Annotated[int, Strict(), Field(ge=0, le=100)]


class WeightedTarget(Part):
    """One of the virtual nodes that share a route's requests."""

    virtual_node: str = Field(examples=["colorteller"])
    """Name of the virtual node."""
    weight: Weight = Field(examples=[50])
    """Its share, beside the other weights; they add up to 100 at most."""
    port: Port | None = None
    """Port of its listener; needed if it has several."""


class WeightedTargets(Part):
    """Where a route's requests go."""

    weighted_targets: tuple[WeightedTarget, ...] = Field(min_length=1, max_length=10)
    """The virtual nodes, at most 10."""


class HttpRoute(Part):
    """A route for HTTP requests."""

    match: HttpMatch
    """Which requests."""
    action: WeightedTargets
    """Where they go."""
    retry_policy: HttpRetryPolicy | None = None
    """When they are sent again. Left out: only if they surely were not processed."""
    timeout: RequestTimeouts = RequestTimeouts()
    """How long they may take."""


class GrpcRoute(Part):
    """A route for gRPC calls."""

    match: GrpcMatch = GrpcMatch()
    """Which calls."""
    action: WeightedTargets
    """Where they go."""
    retry_policy: GrpcRetryPolicy | None = None
    """When they are sent again. Left out: only if they surely were not processed."""
    timeout: RequestTimeouts = RequestTimeouts()
    """How long they may take."""


class TcpRoute(Part):
    """A route for TCP connections."""

    match: TcpMatch = TcpMatch()
    """Which connections."""
    action: WeightedTargets
    """Where they go."""
    timeout: SessionTimeouts = SessionTimeouts()
    """How long they may be silent."""


class RouterRoute(Part):
    """A route of a virtual router: exactly one of http_route, http2_route, grpc_route and tcp_route."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = Field(examples=["blue"])
    """Its name, in its router."""
    priority: Priority | None = Field(default=None, examples=[10])
    """Routes with a smaller number are asked first, and routes without one last."""
    http_route: HttpRoute | None = None
    """For a listener that speaks http."""
    http2_route: HttpRoute | None = None
    """For a listener that speaks http2."""
    grpc_route: GrpcRoute | None = None
    """For a listener that speaks grpc."""
    tcp_route: TcpRoute | None = None
    """For a listener that speaks tcp."""


class RouterListener(Part):
    """Where callers believe that a virtual service listens."""

    port_mapping: NodePort
    """Port and protocol; nodes behind the router may listen on other ports."""


class VirtualRouter(Part):
    """Divides the requests to a virtual service among virtual nodes."""

    listeners: tuple[RouterListener, ...] = Field(min_length=1)
    """The ports at which applications call it."""
    routes: tuple[RouterRoute, ...] = Field(min_length=1)
    """Its routes; the order in the file means nothing."""
