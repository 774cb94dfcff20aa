"""How long requests and sessions may take."""

from __future__ import annotations

from pydantic import Field

from meshcert.mesh.part import Limit, Part
from meshcert.timeouts import ProtocolTimeouts, Timeouts


class RequestTimeouts(Part):
    """Limits of a request, seconds; 0 is none."""

    per_request: Limit | None = Field(default=None, examples=[60.0])
    """From the end of the request to the end of its answer; after that it is cut (504 if the answer had not begun)."""
    idle: Limit | None = Field(default=None, examples=[900.0])
    """Silence in both directions; after that the request is cut (504 if the answer had not begun)."""
    stream: Limit | None = Field(default=None, examples=[3600.0])
    """From the request's first byte to the end of its answer, uploads, WebSockets and gRPC streams included."""


class SessionTimeouts(Part):
    """Limits of a `tcp` session, seconds; 0 is none."""

    idle: Limit | None = Field(default=None, examples=[3600.0])
    """Silence in both directions; after that the session is cut."""


class DeclaredTimeouts(Part, title="Timeout"):
    """Limits by the protocol of the virtual node. What a place leaves out, the next less specific one says."""

    http: RequestTimeouts | None = None
    """Requests to nodes that speak http."""
    http2: RequestTimeouts | None = None
    """Requests to nodes that speak http2."""
    grpc: RequestTimeouts | None = None
    """Requests to nodes that speak grpc."""
    tcp: SessionTimeouts | None = None
    """Sessions of nodes that speak tcp."""

    @property
    def by_protocol(self) -> ProtocolTimeouts:
        """The limits that are set, by protocol."""
        http, http2, grpc = (
            Timeouts(each.per_request, each.idle, each.stream) if each else Timeouts()
            for each in (self.http, self.http2, self.grpc)
        )
        return ProtocolTimeouts(http, http2, grpc, Timeouts(idle_s=self.tcp.idle) if self.tcp else Timeouts())
