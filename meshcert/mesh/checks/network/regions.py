"""Checks that all that is yours is where the mesh is: in one account and region, or in those of its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.cells.placing import networks
from meshcert.mesh.checks.network.networks import ZONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh


_OF_SEVERAL = {
    "cluster": "Write its name alone if each cell has a cluster of yours of that name, or cells.NAME.cluster",
    "network": "Give that cell a network of its own: cells.NAME.network",
}
"""Remedies for what the file says of all cells."""


class _Placed(NamedTuple):
    """
    Something of yours whose name says where it is.

    Args:
        place: Where the file names it.
        region: Its region.
        account: Its account, if that has to be the mesh's; empty for a zone, and for what another account may share.
        cells: The cells that use it; none in a mesh without cells.
    """

    place: str
    region: str
    account: str
    cells: tuple[str, ...]


def check_regions(mesh: Mesh, findings: Findings) -> None:
    """Report what is in another account or region than the first, or than the cell that uses it."""
    placed = list(_placed(mesh))
    if mesh.cells:
        _check_shared(mesh, findings)
        for one in placed:
            _check_cells(mesh, one, findings)
        return
    _check_alike([(one.place, one.region) for one in placed], "in", "region", findings)
    _check_alike([(one.place, one.account) for one in placed if one.account], "of account", "account", findings)


def _check_alike(placed: Iterable[tuple[str, str]], within: str, what: str, findings: Findings) -> None:
    """Report what is elsewhere than the first: a mesh without cells is in one account and region."""
    (first, known), *others = [*placed] or [("", "")]
    for place, other in others:
        if other != known:
            findings.add(
                place,
                f"it is {within} {other}, and {first} {within} {known}",
                f"Name one {within} {known}: all of a mesh is in one {what}, or it has cells",
                given=(first,),
            )


def _check_cells(mesh: Mesh, placed: _Placed, findings: Findings) -> None:
    """Report what is not where a cell is that uses it."""
    for cell in placed.cells:
        declared = mesh.cells[cell]
        for field, within, own, other in (
            ("region", "in", declared.region, placed.region),
            ("account", "of account", declared.account, placed.account),
        ):
            if other and other != own:
                findings.add(
                    placed.place,
                    f"it is {within} {other}, and cell {cell}, which uses it, {within} {own}",
                    _OF_SEVERAL.get(placed.place.partition(".")[0], f"Name one {within} {own}, or correct the cell"),
                    given=(f"cells.{cell}.{field}",),
                )


def _check_shared(mesh: Mesh, findings: Findings) -> None:
    """Report what the file says of the whole mesh and each cell has of its own."""
    about = mesh.about
    of_one = {
        "secrets_key": "a KMS key is of one account and region, and each cell has secrets of its own",
        "namespace_id": "a namespace is of one account and region, and each cell with services has one of its own",
        "http_name": "it is of one namespace, and each cell with services has one of its own",
    }
    remedies = {
        "secrets_key": "Write it in the cell of its account and region: cells.NAME.secrets_key. Others get a key",
        "namespace_id": "Write it in that namespace's cell, cells.NAME.namespace_id: others get one. One that all "
        "cells share is named by its ARN",
        "http_name": f"Write it in that namespace's cell: cells.NAME.http_name: {about.http_name}",
    }
    one_runs_all = len({service.cell for service in mesh.services.values()}) <= 1
    for field, problem in of_one.items():
        within = ("services",) if field == "namespace_id" else ()
        of_all = field != "secrets_key" and bool(mesh.namespace_owner)
        if getattr(about, field) and not of_all and not (field == "namespace_id" and one_runs_all):
            findings.add(f"mesh.{field}", problem, remedies[field], given=("cells",), within=within)


def _placed(mesh: Mesh) -> Iterator[_Placed]:
    """Each thing that says where it is: a zone, or an ARN. Zones are checked against each other."""
    used = tuple(dict.fromkeys(service.cell for service in mesh.services.values() if service.cell in mesh.cells))
    yield from _zones(mesh)
    if mesh.cluster.existing.startswith("arn:"):
        there = tuple(cell for cell in used if not mesh.cells[cell].cluster)
        yield _of_arn("cluster.existing", mesh.cluster.existing, there)
    yield from _of_cells(mesh)
    if mesh.logs.existing.startswith("arn:"):
        yield _of_arn("logs.existing", mesh.logs.existing, ())
    if mesh.namespace_owner:
        yield _of_arn("mesh.namespace_id", mesh.about.namespace_id, ())._replace(account="")
    if mesh.about.secrets_key:
        yield _of_arn("mesh.secrets_key", mesh.about.secrets_key, ())
    for name, hierarchy in mesh.hierarchies.items():
        if hierarchy.existing:
            # Which cells use it, only a mesh without faults tells: meshcert.mesh.cells.checks looks at that.
            yield _of_arn(f"hierarchies.{name}.existing.arn", hierarchy.existing.arn, ())._replace(account="")
    yield from _of_services(mesh)


def _of_cells(mesh: Mesh) -> Iterator[_Placed]:
    """What cells have of yours and share with nobody: secrets leave no account, nor what encrypts them."""
    for name, cell in mesh.cells.items():
        cluster = cell.cluster.existing if cell.cluster else ""
        for field, arn in (("cluster.existing", cluster), ("secrets_key", cell.secrets_key)):
            if arn.startswith("arn:"):
                yield _of_arn(f"cells.{name}.{field}", arn, (name,))


def _of_services(mesh: Mesh) -> Iterator[_Placed]:
    for name, service in mesh.services.items():
        cells = (service.cell,) if service.cell in mesh.cells else ()
        place, balancer, attached = f"services.{name}.load_balancer", service.load_balancer, service.attached
        if attached and attached.cluster.startswith("arn:"):
            yield _of_arn(f"services.{name}.attached.cluster", attached.cluster, cells)
        if balancer and balancer.certificate:
            yield _of_arn(f"{place}.certificate", balancer.certificate, cells)
        for port, arn in balancer.target_groups.items() if balancer else ():
            yield _of_arn(f"{place}.target_groups.{port}", arn, cells)


def _zones(mesh: Mesh) -> Iterator[_Placed]:
    """The first zone of each network."""
    for at, network, cells in networks(mesh):
        zones = {f"{at}.availability_zones[{index}]": zone for index, zone in enumerate(network.availability_zones)}
        if network.existing:
            zones = {f"{at}.existing.subnets.{zone}": zone for zone in network.existing.subnets}
        for place, zone in [(place, zone) for place, zone in zones.items() if ZONE.fullmatch(zone)][:1]:
            yield _Placed(place, zone[:-1], "", cells)


def _of_arn(place: str, arn: str, cells: tuple[str, ...]) -> _Placed:
    _, _, _, region, account, _ = arn.split(":", 5)
    return _Placed(place, region, account, cells)
