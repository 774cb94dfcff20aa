"""
Which proxies have a route table, and what is in it.

A virtual gateway with gateway routes, and a virtual node with backends: their routes change without new tasks. The
short ``routes`` of a gateway stay in its settings, unless it has gateway routes too: their proxies keep their task
definitions. Routes of ``tcp`` are part of a listener and stay in the settings as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.documents.route_table import RouteTable, without_routes
from meshcert.mesh.rendering.settings import proxy_settings

if TYPE_CHECKING:
    from meshcert.mesh.mesh import Mesh
    from meshcert.proxy import ProxySettings


def route_table(mesh: Mesh, service: str) -> RouteTable | None:
    """
    The route table of a service's proxy; None if it has none.

    Args:
        mesh: A mesh that :func:`~meshcert.mesh.load_mesh` has checked.
    """
    settings = proxy_settings(mesh, service)
    return RouteTable.of(settings) if _has_route_table(mesh, service, settings) else None


def task_settings(mesh: Mesh, service: str) -> ProxySettings:
    """The settings of a service's proxy as its task definition has them: without what its route table says."""
    settings = proxy_settings(mesh, service)
    if not _has_route_table(mesh, service, settings):
        return settings
    return without_routes(settings, naming.routes_table(mesh.name))


def _has_route_table(mesh: Mesh, service: str, settings: ProxySettings) -> bool:
    gateway = mesh.services[service].virtual_gateway
    if gateway:
        is_http = all(listener.protocol != "tcp" for listener in settings.listeners)
        return is_http and bool(mesh.virtual_gateways[gateway].gateway_routes)
    return any(way.is_http for way in settings.ways_out)
