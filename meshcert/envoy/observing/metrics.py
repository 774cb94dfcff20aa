"""Metrics for Prometheus, on a port of their own: what Envoy counts, and nothing else of its admin interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.container import ADMIN_PORT
from meshcert.envoy.addresses import Addresses, socket_address
from meshcert.envoy.api import HTTP_CONNECTION_MANAGER, ROUTER, Json, duration, extension

if TYPE_CHECKING:
    from meshcert.proxy import ProxySettings

METRICS_LISTENER = "metrics"
"""Name of the listener."""
METRICS_CLUSTER = "meshcert/metrics"
"""Name of the cluster of Envoy's own admin interface; no virtual node can have it."""
METRICS_PATH = "/metrics"
SERIES = (
    r"^(cluster\..*\.(upstream_rq|upstream_cx|ssl\.|membership|outlier)"
    r"|http\.(ingress|egress|local).*\.(downstream_rq|downstream_cx|rq_)"
    r"|tcp\.|listener\.ingress.*\.ssl\.|listener\.(ingress|egress|local).*\.downstream_cx"
    r"|server\.(live|uptime|days_until_first_cert_expiring))"
)
"""The series that are told: requests, answers, times, connections and TLS of each edge, and how certificates age."""
ANSWER_WITHIN_S = 10.0


def metrics_listener(settings: ProxySettings, addresses: Addresses) -> Json:
    """
    A listener (``listener.v3.Listener``) that answers ``GET /metrics`` and 404 to everything else.

    Parameters of the request would reach Envoy's admin interface, so a request with any is not taken.
    """
    from urllib.parse import quote  # noqa: PLC0415  every container loads this module at start, and few have metrics

    target = f"/stats/prometheus?usedonly&filter={quote(SERIES, safe='')}"
    route = {
        "match": {
            "path": METRICS_PATH,
            "headers": [
                {"name": ":path", "string_match": {"exact": METRICS_PATH}},
                {"name": ":method", "string_match": {"exact": "GET"}},
            ],
        },
        "route": {"cluster": METRICS_CLUSTER, "prefix_rewrite": target, "timeout": duration(ANSWER_WITHIN_S)},
    }
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        HTTP_CONNECTION_MANAGER,
        stat_prefix=METRICS_LISTENER,
        route_config={
            "name": METRICS_LISTENER,
            "virtual_hosts": [{"name": METRICS_LISTENER, "domains": ["*"], "routes": [route]}],
        },
        http_filters=[extension("envoy.filters.http.router", ROUTER)],
    )
    return {
        "name": METRICS_LISTENER,
        "stat_prefix": METRICS_LISTENER,
        "traffic_direction": "OUTBOUND",  # it is scraped until Envoy ends
        "address": socket_address(addresses.listen, settings.metrics_port),
        "filter_chains": [{"filters": [manager]}],
    }


def metrics_cluster(addresses: Addresses) -> Json:
    """The cluster of Envoy's own admin interface."""
    endpoint = {"endpoint": {"address": socket_address(addresses.loopback, ADMIN_PORT)}}
    return {
        "name": METRICS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": duration(1.0),
        "load_assignment": {"cluster_name": METRICS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
