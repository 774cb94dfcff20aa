"""
The listeners on loopback through which an application reaches its backends.

They stand before the application starts and until it has ended: ``traffic_direction`` OUTBOUND keeps them out of
``/drain_listeners?inboundonly``, which closes the ways in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.access_log import refused_backends
from meshcert.envoy.addresses import Addresses, socket_address
from meshcert.envoy.api import HTTP_CONNECTION_MANAGER, ROUTER, TCP_PROXY, Json, extension
from meshcert.envoy.connection_cap import cut_connections
from meshcert.envoy.http.paths import judged_paths
from meshcert.envoy.http.request_log import request_log
from meshcert.envoy.http.retries import RETRY_PAUSES
from meshcert.envoy.http.route_configurations import (
    EGRESS_LISTENER,
    egress_routes,
    local_listener_name,
    local_routes,
    routed,
)
from meshcert.envoy.http.routes import CONNECTIONS_TRIED, destination
from meshcert.envoy.http.spoken import spoken
from meshcert.envoy.http.timeouts import session_timeout
from meshcert.envoy.http.undeclared import answers_of_guard, undeclared_filters

if TYPE_CHECKING:
    from meshcert.proxy import ProxySettings, WayOut


def ways_out_listeners(settings: ProxySettings, addresses: Addresses) -> list[Json]:
    """Every listener of the ways out: the egress listener, then one for each ``local_port``."""
    listeners: list[Json] = []
    if settings.egress_port:
        egress = _manager(EGRESS_LISTENER, egress_routes(settings), settings, addresses)
        listeners.append(_listener(EGRESS_LISTENER, settings.egress_port, egress, addresses))
    for way in settings.ways_out:
        if way.local_port:
            name = local_listener_name(way.local_port)
            listeners.append(_listener(name, way.local_port, _local(name, way, settings, addresses), addresses))
    return listeners


def _listener(name: str, port: int, network_filter: Json, addresses: Addresses) -> Json:
    return {
        "name": name,
        "stat_prefix": name,
        "traffic_direction": "OUTBOUND",
        # Else the application is told to leave when the proxy begins to drain its ways in (/healthcheck/fail), and a
        # client that cannot live with a GOAWAY, as Python's httpx, gives its requests up.
        "drain_type": "MODIFY_ONLY",
        "address": socket_address(addresses.loopback, port),
        "filter_chains": [{"filters": [network_filter]}],
    }


def _local(name: str, way: WayOut, settings: ProxySettings, addresses: Addresses) -> Json:
    """Everything to one backend."""
    if way.is_http:
        return _manager(name, local_routes(way, settings), settings, addresses)
    return _session(name, way, settings)


def _manager(name: str, configuration: Json, settings: ProxySettings, addresses: Addresses) -> Json:
    guarded = name == EGRESS_LISTENER and settings.egress_allow_all
    return extension(
        "envoy.filters.network.http_connection_manager",
        HTTP_CONNECTION_MANAGER,
        stat_prefix=name,
        **spoken("http", settings.name),
        **request_log(name, settings),
        **judged_paths((route for way in settings.ways_out for route in way.routes), settings),
        **routed(name, settings, addresses, configuration),
        **(answers_of_guard() if guarded else {}),
        http_filters=[
            *(undeclared_filters(addresses) if guarded else ()),
            extension("envoy.filters.http.router", ROUTER, upstream_log=[refused_backends(settings)]),
        ],
    )


def _session(name: str, way: WayOut, settings: ProxySettings) -> Json:
    """``tcp_proxy.v3.TcpProxy`` to the first route's targets; what speaks first, the server or the client, is free."""
    route, names = way.routes[0], {share.backend for share in way.routes[0].shares}
    is_certified = any(backend.name in names and backend.tls for backend in settings.backends)
    return extension(
        "envoy.filters.network.tcp_proxy",
        TCP_PROXY,
        stat_prefix=name,
        **destination(route),
        max_connect_attempts=CONNECTIONS_TRIED,
        backoff_options=RETRY_PAUSES,
        access_log=[refused_backends(settings)],
        **session_timeout(route.timeouts),
        **(cut_connections(settings.max_connection_duration_s) if settings.cut_tcp_sessions and is_certified else {}),
    )
