"""The endpoints of a backend as Envoy's Endpoint Discovery Service (EDS) delivers them: their source and content."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from meshcert.envoy.addresses import Addresses, socket_address
from meshcert.envoy.api import CLUSTER_LOAD_ASSIGNMENT, Json, duration
from meshcert.envoy.secrets import resource_source
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from meshcert.proxy import ProxySettings

FIRST_ENDPOINTS_WITHIN_S = 5.0
"""Longest wait of a starting Envoy for a backend's endpoints, seconds; without any, it answers 503 until they come."""
UNHEALTHY = 2
"""``core.v3.HealthStatus``: gets requests only while no endpoint is healthy (``common_lb_config``)."""


class TaskAddress(NamedTuple):
    """
    Where one task of a backend listens.

    Args:
        address: IPv4.
        zone: Its availability zone; empty if unknown.
    """

    address: str
    zone: str = ""


def endpoint_source(backend: str, settings: ProxySettings, addresses: Addresses) -> Json:
    """The source of a backend's endpoints (``core.v3.ConfigSource``): they travel as the secrets do."""
    return resource_source(backend, settings, addresses.endpoints_directory, duration(FIRST_ENDPOINTS_WITHIN_S))


def endpoints_resource(
    backend: str, port: int, tasks: Iterable[TaskAddress], closed: Container[TaskAddress] = ()
) -> Json:
    """
    Tasks as ``endpoint.v3.ClusterLoadAssignment``, grouped by zone.

    Envoy takes an empty one for what it is: the backend has no task, and requests get 503 at once.

    Args:
        closed: Those of the tasks that accept no connections yet.
    """

    def zone_of(task: TaskAddress) -> str:
        return task.zone

    def endpoint(task: TaskAddress) -> Json:
        health = {"health_status": UNHEALTHY} if task in closed else {}
        return {"endpoint": {"address": socket_address(task.address, port)}, **health}

    localities: list[Json] = []
    for zone, members in groupby(sorted(set(tasks), key=lambda task: (task.zone, task.address)), zone_of):
        endpoints = list(map(endpoint, members))
        localities.append({**({"locality": {"zone": zone}} if zone else {}), "lb_endpoints": endpoints})
    return {"@type": CLUSTER_LOAD_ASSIGNMENT, "cluster_name": backend, "endpoints": localities}
