"""Which cells the parts of a mesh belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.rendering.settings import proxy_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.network import Network


def cells_of_identities(mesh: Mesh) -> dict[str, set[str]]:
    """
    The cells that hold an identity: its own, if it names one, and those of the services whose proxies use it.

    Args:
        mesh: A mesh without faults that types or structure could show.
    """
    cells = {name: {declared.cell} - {""} for name, declared in mesh.identities.items()}
    for service, declared in mesh.services.items():
        for identity in proxy_settings(mesh, service).identities:
            cells[identity].add(declared.cell)
    return cells


def cells_trusting(mesh: Mesh) -> dict[str, set[str]]:
    """The cells whose proxies trust a hierarchy, by hierarchy."""
    cells: dict[str, set[str]] = {name: set() for name in mesh.hierarchies}
    for service, declared in mesh.services.items():
        for bundle in proxy_settings(mesh, service).trust_bundles:
            for name in mesh.trusted(bundle):
                cells[name].add(declared.cell)
    return cells


def network_of(mesh: Mesh, cell: str) -> Network:
    """The network of a cell's services."""
    return mesh.cells[cell].network or mesh.network


def network_place(mesh: Mesh, cell: str) -> tuple[str, Network]:
    """The network of a cell's services, with its place in the file; the mesh's, if there is no such cell."""
    declared = mesh.cells.get(cell)
    own = declared.network if declared else None
    return (f"cells.{cell}.network", own) if own else ("network", mesh.network)


def networks(mesh: Mesh) -> Iterator[tuple[str, Network, tuple[str, ...]]]:
    """Each network that the file describes: its place, and the cells whose services run there."""
    running = dict.fromkeys(service.cell for service in mesh.services.values() if service.cell in mesh.cells)
    yield "network", mesh.network, tuple(cell for cell in running if not mesh.cells[cell].network)
    for cell, declared in mesh.cells.items():
        if declared.network:
            yield f"cells.{cell}.network", declared.network, (cell,)


def service_at(mesh: Mesh, place: str) -> str:
    """The service that runs the proxy at a place, ``virtual_nodes.NAME`` for example; empty if none does."""
    section, _, name = place.partition(".")
    if section == "virtual_nodes":
        return mesh.runner_of(name)
    return next((each for each, service in mesh.services.items() if service.virtual_gateway == name), "")


def crossing_calls(mesh: Mesh) -> Iterator[tuple[str, str, str]]:
    """Calls from one cell into another, in the file's order: the calling service, the called one and its node."""
    for call in mesh.calls():
        caller, callee = service_at(mesh, call.caller), mesh.runner_of(call.node)
        if caller and callee and mesh.services[caller].cell != mesh.services[callee].cell:
            yield caller, callee, call.node


def assumes_roles(part: Mesh) -> bool:
    """Whether some proxy of a cell's part of a mesh finds backends by the role of another cell."""
    return any(where for service in part.services for where in proxy_settings(part, service).discovered_in)
