"""How long a request may take: what is said at one place of the mesh file, and the defaults."""

from __future__ import annotations

from meshcert.values.named_tuple import NamedTuple


class Timeouts(NamedTuple):
    """
    Limits in seconds; 0 is none, None says nothing.

    Args:
        per_request_s: From the end of the request to the end of its answer.
        idle_s: Silence in both directions, of a request or a ``tcp`` session.
        stream_s: From the request's first byte to the end of its answer, however busy it is.
    """

    per_request_s: float | None = None
    idle_s: float | None = None
    stream_s: float | None = None

    def otherwise(self, less_specific: Timeouts) -> Timeouts:
        """Each limit as said here, else as said there."""
        both = zip(self, less_specific, strict=True)
        return Timeouts(*(here if here is not None else there for here, there in both))


class ProtocolTimeouts(NamedTuple):
    """Limits by the protocol of a virtual node."""

    http: Timeouts = Timeouts()
    http2: Timeouts = Timeouts()
    grpc: Timeouts = Timeouts()
    tcp: Timeouts = Timeouts()

    def of(self, protocol: str) -> Timeouts:
        """Those of a protocol, by its name in the mesh file."""
        limits: Timeouts = getattr(self, protocol)
        return limits


_REQUESTS = Timeouts(per_request_s=0.0, idle_s=300.0, stream_s=0.0)
DEFAULT_TIMEOUTS = {
    # No total by default: it would cut a download or a stream of events in the middle, however well it flows.
    "http": _REQUESTS,
    "http2": _REQUESTS,
    # A subscription may be quiet for hours.
    "grpc": Timeouts(per_request_s=0.0, idle_s=0.0, stream_s=0.0),
    "tcp": Timeouts(per_request_s=0.0, idle_s=3600.0, stream_s=0.0),
}
"""What holds where nobody says anything, by the protocol of the virtual node."""
LONGEST_TIMEOUT_S = 604_800.0
"""The longest that can be said, seconds: a week."""
