"""Gateway routes: which virtual service answers which of a gateway's requests."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from meshcert.mesh.part import Part, Port
from meshcert.mesh.routing.matches import GatewayGrpcMatch, GatewayHttpMatch, Priority, Text


class DefaultRewrite(StrEnum):
    """What becomes of what a gateway route has matched."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class PrefixRewrite(Part):
    """What takes the place of a matched prefix: at most one of them."""

    default_prefix: DefaultRewrite | None = None
    """`ENABLED`, as if left out: `/` takes its place. `DISABLED`: the path stays."""
    value: Text | None = Field(default=None, examples=["/colors/"])
    """This takes its place; it begins and ends with `/`."""


class PathRewrite(Part):
    """What takes the place of a whole path."""

    exact: Text = Field(examples=["/colors"])
    """The path."""


class HostnameRewrite(Part):
    """What takes the place of the host."""

    default_target_hostname: DefaultRewrite = DefaultRewrite.ENABLED
    """`ENABLED`: the virtual service's name. `DISABLED`: the host stays."""


class Rewrite(Part):
    """What the virtual service sees instead of what the client sent."""

    prefix: PrefixRewrite | None = None
    """Of a matched prefix."""
    path: PathRewrite | None = None
    """Of a path that was matched whole."""
    hostname: HostnameRewrite | None = None
    """Of the host."""


class GrpcRewrite(Part):
    """What the virtual service sees instead of what the client sent."""

    hostname: HostnameRewrite | None = None
    """Of the host."""


class GatewayTarget(Part):
    """Who answers."""

    virtual_service: Annotated[str, Field(min_length=1)] = Field(examples=["color.mtls.svc.cluster.local"])
    """Name of the virtual service."""
    port: Port | None = None
    """Port of its router's or node's listener; needed if there are several."""


class GatewayHttpAction(Part):
    """What becomes of the requests."""

    target: GatewayTarget
    """Who answers."""
    rewrite: Rewrite = Rewrite()
    """What it sees instead of what the client sent."""


class GatewayGrpcAction(Part):
    """What becomes of the calls."""

    target: GatewayTarget
    """Who answers."""
    rewrite: GrpcRewrite = GrpcRewrite()
    """What it sees instead of what the client sent."""


class GatewayHttpRoute(Part):
    """A gateway route for HTTP requests."""

    match: GatewayHttpMatch
    """Which requests."""
    action: GatewayHttpAction
    """Who answers."""


class GatewayGrpcRoute(Part):
    """A gateway route for gRPC calls."""

    match: GatewayGrpcMatch
    """Which calls."""
    action: GatewayGrpcAction
    """Who answers."""


class GatewayRoute(Part):
    """A gateway route: exactly one of http_route, http2_route and grpc_route."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = Field(examples=["colors"])
    """Its name, in its gateway."""
    priority: Priority | None = Field(default=None, examples=[10])
    """Routes with a smaller number are asked first, and routes without one last."""
    http_route: GatewayHttpRoute | None = None
    """For a listener that speaks http."""
    http2_route: GatewayHttpRoute | None = None
    """For a listener that speaks http2."""
    grpc_route: GatewayGrpcRoute | None = None
    """For a listener that speaks grpc."""
