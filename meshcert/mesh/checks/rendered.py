"""
How long the documents are that a proxy is told: its settings, and its route table.

They are rendered only where they could be too long, because rendering all of a large mesh takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.bounded_json import MOST_BYTES
from meshcert.documents.route_table import LONGEST_PACKED
from meshcert.documents.stored_settings import LONGEST_IN_ENVIRONMENT
from meshcert.mesh.calls import backends_of, target_of
from meshcert.mesh.cells.slices import in_cell
from meshcert.mesh.checks.limits import check_stored_settings
from meshcert.mesh.proxies import VirtualGateway
from meshcert.mesh.rendering.route_tables import route_table, task_settings

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import VirtualNode

_FEWEST = 20
"""Backends and routes whose document could be too long: App Mesh's limits leave a route some 3 KB."""
_MOST_ROUTES = 20_000
"""Routes of which a document would be longer than :data:`~meshcert.bounded_json.MOST_BYTES`: 60 bytes each at least."""


def check_rendered(mesh: Mesh, findings: Findings) -> None:
    """
    Report proxies whose settings or routes are longer than a container reads: else the deploy would be refused.

    Args:
        mesh: A mesh in which :func:`~meshcert.mesh.checks.check` has found nothing.
    """
    stored: list[str] = []
    for name, service in mesh.services.items():
        section = "virtual_gateways" if service.virtual_gateway else "virtual_nodes"
        place = f"{section}.{service.virtual_gateway or service.virtual_node}"
        part = getattr(mesh, section)[service.virtual_gateway or service.virtual_node]
        routes = _most_routes(mesh, place, part)
        if routes > _MOST_ROUTES:
            _add(findings, place, f"it has {routes} routes, and {_MOST_ROUTES} are read")
        elif routes >= _FEWEST and _check_documents(mesh, name, place, findings):
            stored.append(name)
    if not mesh.cells:
        check_stored_settings(mesh, stored, findings)
    for cell in mesh.cells:
        mine = [name for name in stored if mesh.services[name].cell == cell]
        check_stored_settings(in_cell(mesh, cell), mine, findings, cell=cell)


def _check_documents(mesh: Mesh, service: str, place: str, findings: Findings) -> bool:
    """Report documents of one proxy that are too long, and return whether its settings are stored."""
    if table := route_table(mesh, service):
        if (packed := len(table.packed())) > LONGEST_PACKED:
            _add(findings, place, f"its routes take {packed} characters, compressed, and {LONGEST_PACKED} are read")
        if (written := len(table.to_json())) > MOST_BYTES:
            _add(findings, place, f"its routes take {written} bytes, and {MOST_BYTES} are read")
    if (written := len(task_settings(mesh, service).to_json())) > MOST_BYTES:
        _add(findings, place, f"its settings take {written} bytes, and {MOST_BYTES} are read")
    return written > LONGEST_IN_ENVIRONMENT


def _add(findings: Findings, place: str, problem: str) -> None:
    findings.add(place, problem, "Give some of its routes or backends to another proxy")


def _most_routes(mesh: Mesh, place: str, proxy: VirtualGateway | VirtualNode) -> int:
    """The backends and routes of a proxy, at most: each gateway route meets each route behind it."""
    count = sum(1 + _behind(mesh, backend.virtual_service) for _, backend in backends_of(place, proxy))
    if isinstance(proxy, VirtualGateway):
        targets = (target_of(route) for route in proxy.gateway_routes)
        count += len(proxy.routes) + sum(1 + _behind(mesh, target.virtual_service) for target in targets if target)
    return count


def _behind(mesh: Mesh, virtual_service: str) -> int:
    """The routes behind a virtual service; one if it leads to a node, or if a backend is a node itself."""
    service = mesh.virtual_services.get(virtual_service)
    router = mesh.virtual_routers.get(service.provider.virtual_router) if service else None
    return len(router.routes) if router else 1
