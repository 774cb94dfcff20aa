"""A request's limits in Envoy's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import Json, duration
from meshcert.timeouts import DEFAULT_TIMEOUTS

if TYPE_CHECKING:
    from meshcert.timeouts import Timeouts


def route_timeouts(protocol: str, timeouts: Timeouts) -> Json:
    """
    Fields of ``route.v3.RouteAction`` that limit a request.

    ``timeout`` begins when the request has been read whole, so it cuts neither an upload nor a WebSocket nor a stream
    whose client has not finished. ``idle_timeout`` replaces the ``stream_idle_timeout`` of the connection manager. Both
    are always written: Envoy's own defaults are 15 seconds and 5 minutes.

    Args:
        protocol: Of the virtual node; decides what holds where nothing is said.
    """
    per_request_s, idle_s, stream_s = (limit or 0.0 for limit in timeouts.otherwise(DEFAULT_TIMEOUTS[protocol]))
    fields: Json = {"timeout": duration(per_request_s), "idle_timeout": duration(idle_s)}
    if stream_s:
        fields["max_stream_duration"] = {"max_stream_duration": duration(stream_s)}
    return fields


def session_timeout(timeouts: Timeouts) -> Json:
    """The field of ``tcp_proxy.v3.TcpProxy`` that ends a silent session; 0 is none."""
    return {"idle_timeout": duration(timeouts.otherwise(DEFAULT_TIMEOUTS["tcp"]).idle_s or 0.0)}
