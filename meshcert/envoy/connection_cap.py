"""
How long a connection may live.

Only a new connection sees a new certificate, a new trust bundle, or that its peer has been revoked: Envoy keeps the old
TLS context of a connection for as long as it lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import Json, duration

if TYPE_CHECKING:
    from collections.abc import Iterable

SHARE_OF_LIFETIME = 0.1
"""Part of a certificate's lifetime that a connection may live at most."""
SHORTEST_CAP_S = 1.0
"""Below this a proxy would do little but shake hands, seconds."""
LONGEST_DRAIN_S = 5.0
"""Longest time in which a client is asked to leave before its connection ends, seconds; Envoy's own default."""


def connection_cap_s(longest_s: float, lifetimes_s: Iterable[float]) -> float:
    """
    The longest life of a connection, seconds: what the settings allow, or a tenth of the shortest lifetime.

    Args:
        longest_s: What the settings allow, seconds.
        lifetimes_s: How long each certificate is valid, seconds: from its NotBefore, so the hour by which AWS Private
            CA back-dates counts as life.
    """
    return min([longest_s, *(max(SHORTEST_CAP_S, SHARE_OF_LIFETIME * lifetime) for lifetime in lifetimes_s)])


def drained_connections(cap_s: float) -> Json:
    """
    Fields of ``HttpConnectionManager`` that end every connection of a client within the cap.

    At ``max_connection_duration`` Envoy begins to drain: HTTP/2 gets GOAWAY, each HTTP/1.1 response ``Connection:
    close``. New requests are still served until ``drain_timeout`` is over; then the connection ends with the last of
    its requests. So an open stream (gRPC) may outlive the cap, and no request fails.

    Args:
        cap_s: The longest life of a connection, seconds.
    """
    drain_s = _drain_s(cap_s)
    return {
        "common_http_protocol_options": {"max_connection_duration": duration(cap_s - drain_s)},
        "drain_timeout": duration(drain_s),
    }


def left_connections(cap_s: float) -> Json:
    """
    Fields of ``HttpProtocolOptions`` with which a proxy leaves its server before that begins to drain.

    The server may have the same cap. In HTTP/1.1 nobody asks on a connection that he has left, but a server that ends
    an idle one can meet a request on its way, which then fails (github.com/envoyproxy/envoy/issues/34356).

    Args:
        cap_s: The longest life of a connection, seconds.
    """
    return {"max_connection_duration": duration(cap_s - 2 * _drain_s(cap_s))}


def cut_connections(cap_s: float) -> Json:
    """
    Fields of ``TcpProxy`` that end every connection within the cap.

    TCP has no word for "please leave": the session is cut wherever it is, and the client has to connect again.

    Args:
        cap_s: The longest life of a connection, seconds.
    """
    return {"max_downstream_connection_duration": duration(cap_s)}


def _drain_s(cap_s: float) -> float:
    return min(LONGEST_DRAIN_S, cap_s / 10)
