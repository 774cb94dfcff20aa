"""A gateway and a node that speak every protocol with each other, for loads that meet mutual TLS in different ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.load.loads import GRPC_SERVICE, Connection, Load, Protocol
from meshcert.proxy import Backend, BackendTls, Listener, ListenerTls, Route, TlsMode
from tests.proxies import GATEWAY_NAME, TELLER_NAME, gateway, teller

if TYPE_CHECKING:
    from meshcert.proxy import ProxySettings

HTTP_PORT, GRPC_PORT, TCP_PORT = 9080, 9082, 9083
_LISTENERS = ((HTTP_PORT, "http"), (GRPC_PORT, "grpc"), (TCP_PORT, "tcp"))
"""Of both ends; each more is one more TLS context that Envoy rebuilds at a rotation."""
_KEPT = {Protocol.HTTP1: HTTP_PORT, Protocol.HTTP2: HTTP_PORT, Protocol.GRPC: GRPC_PORT}


def node_settings(**changes: Any) -> ProxySettings:
    """A teller with mutual TLS on every listener; its application speaks clear-text HTTP/2, and whatever TCP brings."""
    tls = ListenerTls(TlsMode.STRICT, "colorteller", "colorgateway", (GATEWAY_NAME,))
    return teller(listeners=tuple(Listener(port, protocol, tls) for port, protocol in _LISTENERS), **changes)


def gateway_settings(**changes: Any) -> ProxySettings:
    """A gateway in clear text, with mutual TLS to the teller."""
    plain, tls = ListenerTls(TlsMode.DISABLED), BackendTls("colorteller", "colorgateway", (TELLER_NAME,))
    return gateway(
        listeners=tuple(Listener(port, protocol, plain) for port, protocol in _LISTENERS),
        backends=tuple(
            Backend(f"teller-{protocol}", TELLER_NAME, port, protocol, tls) for port, protocol in _LISTENERS
        ),
        # TCP listeners follow the first route, whatever its prefix.
        routes=(
            Route("/tcp", "teller-tcp"),
            Route(f"/{Protocol.HTTP1}", "teller-http"),
            Route(f"/{Protocol.HTTP2}", "teller-grpc"),
            Route(f"/{GRPC_SERVICE}", "teller-grpc"),
        ),
        **changes,
    )


def every_load(address: str, *, workers: int = 2, pause_s: float = 0.0) -> list[Load]:
    """
    HTTP/1.1, HTTP/2 and gRPC, each on kept connections and with a new connection for each request.

    Kept connections go through the HTTP listeners, whose proxies keep connections to each other. New ones go through
    the TCP listeners: for each that the gateway accepts, it makes one to the node, mutual TLS handshake included.

    Args:
        address: The gateway's.
        workers: How many ask at the same time, for each load.
        pause_s: Between answer and next question, seconds.
    """
    return [
        Load(
            protocol,
            connection,
            address,
            _KEPT[protocol] if connection is Connection.KEPT else TCP_PORT,
            workers,
            pause_s,
        )
        for protocol in Protocol
        for connection in Connection
    ]
