"""The whole configuration of an Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import DOWNSTREAM_CONNECTIONS, Json, extension
from meshcert.envoy.clusters import application_cluster, backend_cluster, sds_cluster
from meshcert.envoy.dns_resolver import dns_resolver
from meshcert.envoy.http.matching import MOST_REGEX_PROGRAM
from meshcert.envoy.http.undeclared import undeclared_cluster
from meshcert.envoy.listeners import ingress_listener
from meshcert.envoy.observing.admin import admin
from meshcert.envoy.observing.metrics import metrics_cluster, metrics_listener
from meshcert.envoy.outbound.listeners import ways_out_listeners
from meshcert.envoy.secrets import USERS_SDS_CLUSTER
from meshcert.envoy.ways_in import readiness_listeners, ways_in_source
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from meshcert.envoy.addresses import Addresses
    from meshcert.proxy import ProxySettings

MAX_DOWNSTREAM_CONNECTIONS = 50_000
"""Envoy stops accepting above this, instead of running out of memory or descriptors."""


def bootstrap(settings: ProxySettings, addresses: Addresses) -> Json:
    """Envoy's configuration (``bootstrap.v3.Bootstrap``) for these settings. It holds no keys: secrets come by SDS."""
    clusters = [backend_cluster(backend, settings, addresses) for backend in settings.backends]
    if settings.application_port:
        clusters.append(application_cluster(settings, addresses))
    if settings.delivery is DeliveryMode.SDS:
        clusters.append(sds_cluster(addresses.sds_socket))
    if settings.sds_socket_path:
        clusters.append(sds_cluster(settings.sds_socket_path, USERS_SDS_CLUSTER))
    if settings.metrics_port:
        clusters.append(metrics_cluster(addresses))
    if settings.egress_port and settings.egress_allow_all:
        clusters.append(undeclared_cluster(addresses))
    result: Json = {
        "node": {"id": f"{settings.mesh}/{settings.service}/{settings.name}", "cluster": settings.service},
        "admin": admin(addresses),
        "static_resources": {
            "listeners": _listeners(settings, addresses),
            "clusters": clusters,
        },
        "overload_manager": {
            "resource_monitors": [
                extension(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    DOWNSTREAM_CONNECTIONS,
                    max_active_downstream_connections=MAX_DOWNSTREAM_CONNECTIONS,
                )
            ]
        },
        "layered_runtime": {
            "layers": [{"name": "meshcert", "static_layer": {"re2.max_program_size.error_level": MOST_REGEX_PROGRAM}}]
        },
        "application_log_config": {
            "log_format": {
                "json_format": {
                    "at": "%Y-%m-%dT%T.%eZ",
                    "level": "%l",
                    "event": "envoy",
                    "logger": "%n",
                    "message": "%j",
                }
            }
        },
    }
    if settings.awaits_application:
        result["dynamic_resources"] = {"lds_config": ways_in_source(addresses)}
    return result | dns_resolver(addresses)


def _listeners(settings: ProxySettings, addresses: Addresses) -> list[Json]:
    """The listeners that stand from the start."""
    own = ways_out_listeners(settings, addresses)
    if settings.metrics_port:
        own.append(metrics_listener(settings, addresses))
    if settings.awaits_application:
        return [*readiness_listeners(settings, addresses), *own]
    return [*(ingress_listener(listener, settings, addresses) for listener in settings.listeners), *own]
