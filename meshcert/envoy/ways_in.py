"""
The ways in of a virtual node, which open when its application answers.

Until then nobody listens on their ports: a caller's connection is refused, and its Envoy takes another host. Envoy
reads them by its Listener Discovery Service from a file that the entrypoint replaces. ``traffic_direction`` INBOUND
marks them for ``/drain_listeners?inboundonly``, which closes them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.container import READINESS_PORT
from meshcert.envoy.addresses import Addresses, socket_address
from meshcert.envoy.api import HTTP_CONNECTION_MANAGER, LISTENER, ROUTER, Json, duration, extension
from meshcert.envoy.clusters import APPLICATION_CLUSTER
from meshcert.envoy.listeners import ingress_listener

if TYPE_CHECKING:
    from meshcert.proxy import Listener, ProxySettings

READINESS_LISTENER = "readiness"
"""Name of the loopback listener, and of its counters (``http.readiness.*``)."""
READINESS_TIMEOUT_S = 5.0
"""Longest time for an answer of the application to the readiness container, seconds."""


def closed_name(port: int) -> str:
    """Name of a listener that stands for the one on a port while that is closed."""
    return f"closed_{port}"


def ways_in(settings: ProxySettings, addresses: Addresses, *, opened: bool) -> Json:
    """
    The ways in as a ``discovery.v3.DiscoveryResponse`` of the Listener Discovery Service.

    Closed ones are complete listeners that bind no port (``listener.v3.Listener.bind_to_port``), so that Envoy fetches
    and judges their secrets. They have names of their own, because Envoy keeps the unbound socket of a listener that
    only changes.

    Args:
        opened: Whether they bind their ports.
    """
    listeners = [_way_in(listener, settings, addresses, opened=opened) for listener in settings.listeners]
    return {"version_info": "opened" if opened else "closed", "resources": listeners}


def ways_in_source(addresses: Addresses) -> Json:
    """``core.v3.ConfigSource`` of the file: Envoy looks when something is moved into its folder."""
    folder = addresses.ways_in.rpartition("/")[0]
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": addresses.ways_in, "watched_directory": {"path": folder}},
    }


def readiness_listeners(settings: ProxySettings, addresses: Addresses) -> list[Json]:
    """
    The loopback listener through which the application is asked as callers ask it; none for ``tcp``.

    It has one try and a short timeout: the readiness container asks again.
    """
    if any(listener.protocol == "tcp" for listener in settings.listeners):
        return []
    route = {"cluster": APPLICATION_CLUSTER, "timeout": duration(READINESS_TIMEOUT_S)}
    hosts = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        HTTP_CONNECTION_MANAGER,
        stat_prefix=READINESS_LISTENER,
        route_config={"name": READINESS_LISTENER, "virtual_hosts": [hosts]},
        http_filters=[extension("envoy.filters.http.router", ROUTER)],
    )
    return [
        {
            "name": READINESS_LISTENER,
            "stat_prefix": READINESS_LISTENER,
            "traffic_direction": "OUTBOUND",
            "address": socket_address(addresses.loopback, READINESS_PORT),
            "filter_chains": [{"filters": [manager]}],
        }
    ]


def _way_in(listener: Listener, settings: ProxySettings, addresses: Addresses, *, opened: bool) -> Json:
    bound = {"@type": LISTENER, **ingress_listener(listener, settings, addresses)}
    if opened:
        return bound
    name = closed_name(listener.port)
    return {**bound, "name": name, "stat_prefix": name, "bind_to_port": False}
