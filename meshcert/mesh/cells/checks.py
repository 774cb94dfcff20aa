"""Checks of cells: that everything has its place, and that nothing has to cross but what may."""

from __future__ import annotations

import ipaddress
from itertools import combinations
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.errors import Fault
from meshcert.material import ListSource
from meshcert.mesh.cells.namespaces import check_namespaces
from meshcert.mesh.cells.placing import (
    cells_of_identities,
    cells_trusting,
    crossing_calls,
    network_of,
)
from meshcert.mesh.cells.slices import remote_callers
from meshcert.mesh.naming import name_problem
from meshcert.mesh.network import CellDiscovery, Egress
from meshcert.mesh.stacks.trust_policies import LONGEST_TRUST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

LONGEST_CELL_NAME = 16


def check_cells(mesh: Mesh, findings: Findings) -> None:
    """Report cells that are two of one place, and parts whose cell is missing, unknown or named for nothing."""
    for name in mesh.cells:
        if fault := name_problem(name, LONGEST_CELL_NAME):
            findings.add(f"cells.{name}", *fault)
    for (one, first), (other, second) in combinations(mesh.cells.items(), 2):
        if (first.account, first.region) == (second.account, second.region):
            findings.add(
                f"cells.{other}",
                f"account {second.account} in {second.region} is cell {one} already",
                f"Give it another account or region, or have its parts name {one}",
                given=[f"cells.{cell}.{field}" for cell in (one, other) for field in ("account", "region")],
            )
    for section in ("hierarchies", "services", "identities"):
        for name, declared in getattr(mesh, section).items():
            # Identities follow the services that use them, and a CA of the user's has its place already.
            must = section == "services" or (section == "hierarchies" and not declared.existing)
            _check_place(mesh, f"{section}.{name}", declared.cell, findings, must=must)
    _check_authorities(mesh, findings)
    check_namespaces(mesh, findings)
    for one, other in _neighbours(mesh):
        _check_neighbours(mesh, one, other, findings)


def _check_authorities(mesh: Mesh, findings: Findings) -> None:
    """Report CAs that no cell has made, or another one than the file says."""
    for name, hierarchy in mesh.hierarchies.items():
        if hierarchy.authority and (hierarchy.existing or not mesh.cells):
            findings.add(
                f"hierarchies.{name}.authority",
                "it is what a cell's deploy has made for other cells, and no cell makes this one",
                "Remove it; a CA of yours is named by existing",
            )
        _check_lists(mesh, name, findings)
        maker = mesh.cells.get(hierarchy.cell)
        if hierarchy.authority and maker and hierarchy.authority.place != (maker.region, maker.account):
            findings.add(
                f"hierarchies.{name}.authority.arn",
                f"cell {hierarchy.cell} is account {maker.account} in {maker.region}, and the CA is another place's",
                f"Write what make deploy-cell CELL={hierarchy.cell} prints",
                given=(f"hierarchies.{name}.cell", f"cells.{hierarchy.cell}"),
            )


def _check_lists(mesh: Mesh, name: str, findings: Findings) -> None:
    """Report lists of a CA that its cell does not write; without any, its deploy prints them."""
    hierarchy = mesh.hierarchies[name]
    maker, authority = mesh.cells.get(hierarchy.cell), hierarchy.authority
    if not authority or not authority.lists or not maker:
        return
    bucket = naming.revocation_bucket(mesh.name, maker.account, maker.region)
    buckets = {ListSource.at(each).bucket for each in authority.lists}
    if not hierarchy.writes_lists:
        findings.add(
            f"hierarchies.{name}.authority.lists",
            "without revocation nobody reads them",
            "Write revocation: crl, or remove them",
            given=(f"hierarchies.{name}.revocation",),
        )
    elif len(authority.lists) != hierarchy.made or buckets != {bucket}:
        findings.add(
            f"hierarchies.{name}.authority.lists",
            f"cell {hierarchy.cell} writes {hierarchy.made} of them, into the bucket {bucket}",
            f"Write what make deploy-cell CELL={hierarchy.cell} prints",
            given=(f"hierarchies.{name}.cell", f"hierarchies.{name}.tiers"),
        )


def _check_place(mesh: Mesh, place: str, cell: str, findings: Findings, *, must: bool) -> None:
    if not cell:
        if mesh.cells and must:
            findings.add(f"{place}.cell", "it is missing", f"Name a cell: {', '.join(mesh.cells)}", given=("cells",))
            findings.doubt(f"{place}.cell")
    elif not mesh.cells:
        findings.add(f"{place}.cell", "the file has no cells", "Remove it, or declare cells", given=("cells",))
    elif cell not in mesh.cells:
        remedy = findings.remedy(cell, mesh.cells, f"Name one of {', '.join(mesh.cells)}, or declare it under cells")
        findings.add(f"{place}.cell", f"there is no cell {cell}", remedy, given=("cells",))
        findings.doubt(f"{place}.cell")


def check_crossings(mesh: Mesh, findings: Findings) -> None:
    """
    Report what would have to cross between cells and cannot.

    Args:
        mesh: A mesh in which :func:`~meshcert.mesh.checks.check` has found nothing.
    """
    if not mesh.cells:
        return
    holders = cells_of_identities(mesh)
    for identity, cells in holders.items():
        _check_identity(mesh, identity, cells, findings)
    _check_discovery(mesh, findings)
    trusting = cells_trusting(mesh)
    for name, hierarchy in mesh.hierarchies.items():
        signed = {
            cell for identity, cells in holders.items() if mesh.identities[identity].hierarchy == name for cell in cells
        }
        others = (signed | trusting[name]) - {hierarchy.cell}
        _check_regions(mesh, name, sorted(others), signed, findings)
        _check_permission(mesh, name, sorted(signed), findings)


def _check_discovery(mesh: Mesh, findings: Findings) -> None:
    """Report callers that cannot assume the role of a cell they call, or cannot ask in its region."""
    for caller, callee, node in crossing_calls(mesh):
        here, there = mesh.services[caller].cell, mesh.services[callee].cell
        region, regions = mesh.cells[here].region, {mesh.cells[here].region, mesh.cells[there].region}
        if mesh.cells[there].discovery is not CellDiscovery.ROLE or mesh.virtual_nodes[node].service_discovery:
            continue
        attached, problems = mesh.services[caller].attached, []
        if attached and not attached.task_role:
            findings.add(
                f"services.{caller}.attached.task_role",
                f"it is missing: {caller} calls {node} of cell {there}, where callers are trusted by their task roles",
                f"Write its name, or cells.{there}.discovery: dns",
                given=(f"cells.{there}.discovery",),
            )
        if len(set(map(naming.partition, regions))) > 1:
            problems.append(f"cell {here}, which calls {node}, is in another partition of AWS: roles do not cross")
        elif len(regions) > 1 and network_of(mesh, here).egress is Egress.ENDPOINTS:
            problems.append(f"cell {here}, which calls {node}, reaches the APIs of {region} alone (egress: endpoints)")
        for problem in problems:
            remedy = f"Write dns, or give virtual_nodes.{node} a service_discovery of its own"
            findings.add(f"cells.{there}.discovery", problem, remedy)
    for cell in mesh.cells:
        callers = remote_callers(mesh, cell)
        if callers and callers.trust_length > LONGEST_TRUST:
            findings.add(
                f"cells.{cell}.discovery",
                f"callers in {len(callers.accounts)} accounts may assume its role, whose trust policy would have "
                f"{callers.trust_length:,} characters: IAM takes {LONGEST_TRUST:,}",
                "Write dns, or give virtual nodes that fewer cells should call a service_discovery of their own",
            )


def _check_identity(mesh: Mesh, identity: str, cells: set[str], findings: Findings) -> None:
    named = mesh.identities[identity].cell
    if not cells:
        findings.add(
            f"identities.{identity}.cell",
            "no service uses it, so the file has to say where it is issued",
            f"Name a cell: {', '.join(mesh.cells)}",
        )
    elif len(cells) > 1:
        told = ", ".join(sorted(cells))
        findings.add(
            f"identities.{identity}.cell" if named else f"identities.{identity}",
            f"it would be of several cells: {told}; no secret leaves its account and region",
            "Declare one identity for each cell, with the same names if they are to be one to their peers",
        )


def _check_permission(mesh: Mesh, hierarchy: str, signed: list[str], findings: Findings) -> None:
    """Report a permission that no cell may give: each could for a CA of its own account alone."""
    existing = mesh.hierarchies[hierarchy].existing
    accounts = {mesh.cells[cell].account for cell in signed}
    if existing and existing.permit_acm and existing.account not in accounts:
        findings.add(
            f"hierarchies.{hierarchy}.existing.permit_acm",
            f"the CA is of account {existing.account}, and no cell with certificates of it is",
            "Remove it: in an account that the CA is shared with, ACM needs no permission",
            given=(f"hierarchies.{hierarchy}.existing.arn",),
        )


def _check_regions(mesh: Mesh, hierarchy: str, others: list[str], signed: set[str], findings: Findings) -> None:
    """Report cells of other regions that would need more of a CA than its root, which the file has."""
    declared = mesh.hierarchies[hierarchy]
    place, region = "cell", mesh.cells[declared.cell].region if declared.cell else ""
    if declared.existing:
        place, region = "existing.arn", declared.existing.arn.split(":")[3]
    for other in others:
        there = mesh.cells[other].region
        if there != region and other in signed:
            findings.add(
                f"hierarchies.{hierarchy}.{place}",
                f"its CAs are in {region}, and cell {other} is in {there}: RAM shares in one region",
                "Declare a hierarchy in each region, and have peers of the other region trust it",
            )
        elif there != region and declared.writes_lists:
            findings.add(
                f"hierarchies.{hierarchy}.revocation",
                f"cell {other}, which trusts it, is in {there}, and only its CAs in {region} say who signs its lists",
                "Write revocation: none, and short lives; or have that cell trust its root by trust: {file: ...}",
                given=(f"hierarchies.{hierarchy}.{place}",),
            )


def _neighbours(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """Pairs of cells of which one calls the other, each once and in the file's order."""
    talking = {
        frozenset(mesh.services[service].cell for service in (caller, callee))
        for caller, callee, _ in crossing_calls(mesh)
    }
    yield from (pair for pair in combinations(mesh.cells, 2) if frozenset(pair) in talking)


def _check_neighbours(mesh: Mesh, one: str, other: str, findings: Findings) -> None:
    """Two cells whose networks are joined: their addresses and private zones must differ."""
    for first in network_of(mesh, one).cidrs:
        for second in network_of(mesh, other).cidrs:
            if _overlap(first, second):
                findings.add(
                    f"cells.{other}.network",
                    f"it has {second}, and cell {one}, with which it talks, {first}: an address would be there twice",
                    f"Give it other addresses, for example network: {{cidr: {_free(mesh)}}}",
                )
    shared = mesh.shared_namespace_of(one)
    is_one = bool(shared) and shared == mesh.shared_namespace_of(other)
    if mesh.namespace_of(one) == mesh.namespace_of(other) and not is_one:
        findings.add(
            f"cells.{other}.namespace",
            f"it is that of cell {one}, with which it talks, too: a VPC resolves one zone of a name",
            f"Give it a namespace of its own, for example {other}.{mesh.namespace_of(other)}; one that both share is "
            "named by its ARN in both: namespace_id",
        )


def empty_cells(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each cell that nothing is in."""
    used = {each.cell for part in (mesh.hierarchies, mesh.identities, mesh.services) for each in part.values()}
    for name in mesh.cells:
        if name not in used:
            yield Fault(f"cells.{name}", "nothing is in it", "Name it as the cell of a service, or remove it")


def _free(mesh: Mesh) -> str:
    """A range of private addresses that no cell has."""
    taken = [cidr for cell in mesh.cells for cidr in network_of(mesh, cell).cidrs]
    ranges = (f"10.{number}.0.0/16" for number in range(256))
    return next((each for each in ranges if not any(_overlap(each, other) for other in taken)), "172.16.0.0/16")


def _overlap(one: str, other: str) -> bool:
    """Whether an address is in both ranges; not if one is no range, which others report."""
    try:
        return ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other))
    except (TypeError, ValueError):
        return False
