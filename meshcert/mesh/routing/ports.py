"""Where proxies and routers listen, and what they speak there."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from meshcert.mesh.part import Part, Port


class GatewayProtocol(StrEnum):
    """What a virtual gateway's listener speaks: it routes requests, so plain TCP is none of them."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"


class NodeProtocol(StrEnum):
    """What a virtual node's listener speaks."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    TCP = "tcp"


class GatewayPort(Part):
    """Where a virtual gateway listens."""

    port: Port = Field(examples=[8443])
    """TCP port."""
    protocol: GatewayProtocol = Field(examples=["http"])
    """`http` serves HTTP/1.1 and HTTP/2 as the client asks."""


class NodePort(Part):
    """Where a virtual node listens."""

    port: Port = Field(examples=[9443])
    """TCP port."""
    protocol: NodeProtocol = Field(examples=["http"])
    """`http` serves HTTP/1.1 and HTTP/2 as the client asks."""
