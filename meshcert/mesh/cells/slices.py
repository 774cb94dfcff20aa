"""The part of a mesh that one cell deploys, as a mesh of its own; and what crosses between cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshcert import naming
from meshcert.mesh.cells.placing import cells_of_identities, cells_trusting, crossing_calls, network_of
from meshcert.mesh.host_policies import DnsServiceDiscovery, ResponseType, ServiceDiscovery
from meshcert.mesh.issuance import ExistingAuthority, RemoteAuthority
from meshcert.mesh.network import CellDiscovery
from meshcert.mesh.stacks.trust_policies import LONGEST_TRUST, trust_length
from meshcert.proxy import RemoteNamespace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.mesh.issuance import Hierarchy
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.network import Cell
    from meshcert.mesh.proxies import VirtualNode


class Sharing(NamedTuple):
    """
    The accounts that a hierarchy's CAs are shared with.

    Args:
        issuing: Those of cells that have certificates signed by it.
        reading: Those of cells that trust it, the former among them; none in another region, where the root in the mesh
            file is trusted and nothing is asked.
    """

    issuing: tuple[str, ...]
    reading: tuple[str, ...]


class Crossing(NamedTuple):
    """
    A way between a service of a cell and another cell's network.

    Args:
        service: The service.
        cidrs: The other network's addresses.
        port: The TCP port that is called.
        inwards: Whether the service is called; else it calls.
    """

    service: str
    cidrs: tuple[str, ...]
    port: int
    inwards: bool


class RemoteCallers(NamedTuple):
    """
    Who in other cells finds a cell's tasks by its role.

    Args:
        accounts: Their accounts.
        roles: ARNs of the roles of their tasks.
        any_role: Patterns of ARNs that all roles of the mesh in their cells have, and those of the user's task roles.
        services: The Cloud Map services that they look for.
    """

    accounts: tuple[str, ...]
    roles: tuple[str, ...]
    any_role: tuple[str, ...]
    services: tuple[str, ...]

    @property
    def principals(self) -> tuple[str, ...]:
        """The accounts that the role's trust policy names."""
        partition = self.any_role[0].split(":")[1]
        return tuple(f"arn:{partition}:iam::{account}:root" for account in self.accounts)

    @property
    def condition(self) -> dict[str, dict[str, list[str]]]:
        """Which roles of them it admits; where it has no room for so many, any role of the mesh in their cells."""
        exact = _admitting(self.roles)
        fits = trust_length(self.principals, exact) <= LONGEST_TRUST
        return exact if fits else _admitting(self.any_role)

    @property
    def trust_length(self) -> int:
        """Characters of the trust policy, of :data:`~meshcert.mesh.stacks.trust_policies.LONGEST_TRUST`."""
        return trust_length(self.principals, self.condition)


def in_cell(mesh: Mesh, cell: str) -> Mesh:
    """
    What a cell deploys: its services and identities, and the hierarchies that it makes, issues from or trusts.

    CAs of other cells are CAs of the user's there; virtual nodes of other cells are hosts that DNS knows, or that are
    registered in another cell's Cloud Map.

    Args:
        mesh: A mesh with cells, without faults, in which :func:`missing_authorities` finds nothing for this cell.

    Raises:
        KeyError: If there is no such cell.
    """
    place = mesh.cells[cell]
    own = {name for name, cells in cells_of_identities(mesh).items() if cell in cells}
    hierarchies = {
        name: declared if declared.cell == cell else _of_another_cell(declared, place)
        for name, declared in mesh.hierarchies.items()
        if name in _hierarchies_of(mesh, cell)
    }
    return mesh.part(
        _registrations(mesh, cell),
        about=mesh.about.model_copy(
            update={
                "namespace": mesh.namespace_of(cell),
                "namespace_id": place.namespace_id or mesh.shared_namespace_of(cell) or _id_of_one(mesh),
                "http_name": _http_name(mesh, cell),
                "secrets_key": place.secrets_key,
            }
        ),
        network=place.network or mesh.network,
        cluster=place.cluster or mesh.cluster,
        logs=place.logs or mesh.logs,
        cells={},
        hierarchies=hierarchies,
        identities={name: declared for name, declared in mesh.identities.items() if name in own},
        services={name: declared for name, declared in mesh.services.items() if declared.cell == cell},
        virtual_nodes={name: _seen_from(mesh, cell, name) for name in mesh.virtual_nodes},
    )


def missing_authorities(mesh: Mesh, cell: str) -> dict[str, str]:
    """
    What a cell needs to know of CAs that other cells make, and the file does not say yet.

    Returns:
        The fields by hierarchy: ``authority``, or the ``authority.lists`` of one whose peers are looked up in
        revocation lists.
    """
    missing = {}
    for name in _hierarchies_of(mesh, cell):
        declared = mesh.hierarchies[name]
        if declared.cell == cell or declared.existing:
            continue
        if declared.authority is None:
            missing[name] = "authority"
        elif declared.writes_lists and not declared.authority.lists:
            missing[name] = "authority.lists"
    return missing


def sharing(mesh: Mesh, cell: str) -> dict[str, Sharing]:
    """With whom a cell shares the CAs that it makes, by hierarchy; those that no other cell needs are not in it."""
    signing = cells_of_identities(mesh)
    found: dict[str, Sharing] = {}
    for name, declared in mesh.hierarchies.items():
        if declared.cell != cell:
            continue
        issuing = {
            each for identity, cells in signing.items() if mesh.identities[identity].hierarchy == name for each in cells
        }
        using = issuing | cells_trusting(mesh)[name]
        if using - {cell}:
            found[name] = Sharing(_accounts(mesh, issuing, cell), _accounts(mesh, using, cell))
    return found


def using_cells(mesh: Mesh, cell: str) -> tuple[str, ...]:
    """The other cells that issue from the CAs that a cell makes, or trust them."""
    made = sharing(mesh, cell).keys()
    return tuple(other for other in mesh.cells if other != cell and not made.isdisjoint(_hierarchies_of(mesh, other)))


def crossings(mesh: Mesh, cell: str) -> tuple[Crossing, ...]:
    """The ways between a cell's services and other cells' networks, in the file's order."""
    found: dict[Crossing, None] = {}
    for caller, callee, node in crossing_calls(mesh):
        port = mesh.virtual_nodes[node].listeners[0].port_mapping.port
        for service, other, inwards in ((caller, callee, False), (callee, caller, True)):
            if mesh.services[service].cell == cell:
                cidrs = network_of(mesh, mesh.services[other].cell).cidrs
                found[Crossing(service, cidrs, port, inwards)] = None
    return tuple(found)


def remote_callers(mesh: Mesh, cell: str) -> RemoteCallers | None:
    """Who finds a cell's tasks by its role; None if nobody does."""
    if mesh.cells[cell].discovery is not CellDiscovery.ROLE:
        return None
    found = [
        (caller, mesh.cloud_map_name(callee))
        for caller, callee, node in crossing_calls(mesh)
        if mesh.services[callee].cell == cell and not mesh.virtual_nodes[node].service_discovery
    ]
    if not found:
        return None
    places = {caller: mesh.cells[mesh.services[caller].cell] for caller, _ in found}

    def roles(of_services: str = "") -> tuple[str, ...]:
        arns = set()
        for caller, place in places.items():
            attached = mesh.services[caller].attached
            name = attached.task_role if attached else naming.role(mesh.name, place.region, of_services or caller)
            arns.add(naming.role_arn(place.region, place.account, name))
        return tuple(sorted(arns))

    return RemoteCallers(
        accounts=tuple(sorted({place.account for place in places.values()})),
        roles=roles(),
        any_role=roles("*"),
        services=tuple(sorted({service for _, service in found})),
    )


def _admitting(roles: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    return {"ArnLike": {"aws:PrincipalArn": list(roles)}}


def _accounts(mesh: Mesh, cells: set[str], owner: str) -> tuple[str, ...]:
    """The accounts of cells of the owner's region, in the file's order, but for that of the owner's cell."""
    own = mesh.cells[owner]
    accounts = (each.account for name, each in mesh.cells.items() if name in cells and each.region == own.region)
    return tuple(each for each in dict.fromkeys(accounts) if each != own.account)


def _hierarchies_of(mesh: Mesh, cell: str) -> tuple[str, ...]:
    """The hierarchies that a cell makes, has sign its certificates, or trusts, in the file's order."""
    signing = {
        mesh.identities[identity].hierarchy for identity, cells in cells_of_identities(mesh).items() if cell in cells
    }
    trusting = {name for name, cells in cells_trusting(mesh).items() if cell in cells}
    made = {name for name, declared in mesh.hierarchies.items() if declared.cell == cell}
    used = {other for name in made | signing | trusting for other in mesh.trusted(name)}
    return tuple(name for name in mesh.hierarchies if name in used)


def _id_of_one(mesh: Mesh) -> str:
    """The namespace that the file names by its id, which is of the one cell with services; else empty."""
    return "" if ":" in mesh.about.namespace_id else mesh.about.namespace_id


def _http_name(mesh: Mesh, cell: str) -> str:
    """Cloud Map's HTTP name of a cell's namespace if it is another than its name; else empty."""
    of_the_mesh = mesh.about.http_name if mesh.namespace_of(cell) == mesh.namespace else ""
    return mesh.cells[cell].http_name or of_the_mesh


def _registrations(mesh: Mesh, cell: str) -> dict[str, tuple[str, RemoteNamespace | None]]:
    """
    The virtual nodes that other cells run and whose tasks Cloud Map's API names, each with where it is.

    None is the cell's own namespace, which the other cell's services are in, too; else a role there is assumed.
    """
    found: dict[str, tuple[str, RemoteNamespace | None]] = {}
    for name, declared in mesh.virtual_nodes.items():
        runner = mesh.runner_of(name)
        there = mesh.services[runner].cell if runner else cell
        place = mesh.cells[there]
        if there == cell or declared.service_discovery:
            continue
        if (shared := mesh.shared_namespace_of(there)) and shared == mesh.shared_namespace_of(cell):
            found[name] = mesh.cloud_map_name(runner), None
            continue
        if place.discovery is not CellDiscovery.ROLE:
            continue
        role = naming.role_arn(place.region, place.account, naming.discovery_role(mesh.name, place.region))
        http_name = _http_name(mesh, there) or mesh.namespace_of(there)
        found[name] = mesh.cloud_map_name(runner), RemoteNamespace(http_name, place.region, role)
    return found


def _of_another_cell(declared: Hierarchy, place: Cell) -> Hierarchy:
    """A hierarchy as the cells see it that do not make its CAs; of a CA of yours, ACM is permitted in its account."""
    named, yours = declared.authority, declared.existing
    known = named or yours
    if known and known.arn.split(":")[3] != place.region:
        return declared.model_copy(update={"existing": RemoteAuthority(arn=known.arn, root=known.root), "tiers": None})
    if yours and yours.permit_acm and yours.account != place.account:
        return declared.model_copy(update={"existing": yours.model_copy(update={"permit_acm": False})})
    if named is None:
        return declared
    existing = ExistingAuthority(arn=named.arn, root=named.root, lists=named.lists)
    return declared.model_copy(update={"existing": existing, "tiers": None})


def _seen_from(mesh: Mesh, cell: str, node: str) -> VirtualNode:
    """A virtual node as a cell sees it: DNS knows the tasks of those that another cell runs."""
    declared, runner = mesh.virtual_nodes[node], mesh.runner_of(node)
    if not runner or mesh.services[runner].cell == cell or declared.service_discovery:
        return declared
    found = DnsServiceDiscovery(hostname=mesh.host(node), response_type=ResponseType.ENDPOINTS)
    return declared.model_copy(update={"service_discovery": ServiceDiscovery(dns=found)})
