"""Checks of Cloud Map namespaces that several cells have in common, or that another account shares with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.network import CellDiscovery

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh


def check_namespaces(mesh: Mesh, findings: Findings) -> None:
    """Report namespaces that a cell cannot use, and services of different cells that would be one in Cloud Map."""
    names: dict[str, tuple[str, str]] = {}
    for cell, place in mesh.cells.items():
        arn = mesh.shared_namespace_of(cell)
        if not arn:
            continue
        at = f"cells.{cell}.namespace_id" if place.namespace_id else "mesh.namespace_id"
        region = arn.split(":")[3]
        if region != place.region:
            findings.add(
                at,
                f"it is in {region}, and cell {cell} in {place.region}: RAM shares in one region",
                f"Name a namespace in {place.region}, or leave it out and one is made",
                given=(f"cells.{cell}.region",),
            )
        if place.discovery is CellDiscovery.ROLE:
            findings.add(
                f"cells.{cell}.discovery",
                "its namespace is shared, and whom its owner shares it with needs no role to ask for tasks",
                "Write dns; cells that call it name the same namespace_id",
                given=(at,),
            )
        first, name = names.setdefault(arn, (cell, mesh.namespace_of(cell)))
        if mesh.namespace_of(cell) != name:
            findings.add(
                f"cells.{cell}.namespace",
                f"its namespace_id is that of cell {first}, which calls it {name}",
                f"Write {name} or {mesh.namespace_of(cell)} in both, as its owner has named it",
                given=(f"cells.{first}.namespace",),
            )
    _check_services(mesh, findings)


def _check_services(mesh: Mesh, findings: Findings) -> None:
    """Report two services of one name in one namespace: callers of one would find the other's tasks as well."""
    known: dict[tuple[str, str], str] = {}
    for service, declared in mesh.services.items():
        arn = mesh.shared_namespace_of(declared.cell) if declared.cell in mesh.cells else ""
        if not arn or declared.is_job:
            continue
        name = mesh.cloud_map_name(service)
        other = known.setdefault((arn, name), service)
        if mesh.services[other].cell != declared.cell:
            at, given = f"services.{service}", f"services.{other}"
            findings.add(
                f"{at}.attached.cloud_map_service" if name != service else at,
                f"its tasks would be registered as {name}, where those of {other} are, in cell "
                f"{mesh.services[other].cell}: both cells have one namespace",
                "Register one of them under another name",
                given=(given,),
            )
