"""
The longest life of a connection.

Only a new connection uses a new certificate or trust bundle, or notices that its peer has been revoked: Envoy keeps the
old TLS context of a connection for as long as it lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import Json, duration

if TYPE_CHECKING:
    from collections.abc import Iterable

SHARE_OF_LIFETIME = 0.1
"""Largest fraction of a certificate's lifetime that a connection may live."""
SHORTEST_CAP_S = 1.0
"""Shortest cap, seconds: below it, a proxy would be busy with handshakes."""
LONGEST_CONNECTION_DRAIN_S = 5.0
"""Longest time in which a client is asked to leave before its connection ends, seconds; Envoy's own default."""


def connection_cap_s(longest_s: float, lifetimes_s: Iterable[float]) -> float:
    """
    The longest life of a connection, seconds: as the settings allow, but at most a tenth of the shortest lifetime.

    Args:
        longest_s: The limit in the settings, seconds.
        lifetimes_s: How long each certificate is valid, seconds, counted from its NotBefore, which AWS Private CA sets
            an hour back.
    """
    return min([longest_s, *(max(SHORTEST_CAP_S, SHARE_OF_LIFETIME * lifetime) for lifetime in lifetimes_s)])


def drained_connections(cap_s: float) -> Json:
    """
    Fields of ``HttpConnectionManager`` that end every client connection within the cap.

    At ``max_connection_duration`` Envoy begins to drain: HTTP/2 gets GOAWAY, each HTTP/1.1 response ``Connection:
    close``. New requests are still served until ``drain_timeout`` is over; then the connection ends with the last of
    its requests. An open stream (gRPC) may therefore outlive the cap, and no request fails.
    """
    drain_s = _drain_s(cap_s)
    return {
        "common_http_protocol_options": {"max_connection_duration": duration(cap_s - drain_s)},
        "drain_timeout": duration(drain_s),
    }


def left_connections(cap_s: float) -> Json:
    """
    Fields of ``HttpProtocolOptions`` with which a proxy leaves a connection before its server begins to drain it.

    The server may have the same cap. In HTTP/1.1, a client sends nothing on a connection that it has left. But if the
    server closes an idle connection, a request may already be on its way and fails
    (github.com/envoyproxy/envoy/issues/34356).
    """
    return {"max_connection_duration": duration(cap_s - 2 * _drain_s(cap_s))}


def cut_connections(cap_s: float) -> Json:
    """
    Fields of ``TcpProxy`` that end every connection within the cap.

    TCP has no way to ask a client to leave: the session is cut at any point, and the client has to connect again.
    """
    return {"max_downstream_connection_duration": duration(cap_s)}


def _drain_s(cap_s: float) -> float:
    return min(LONGEST_CONNECTION_DRAIN_S, cap_s / 10)
