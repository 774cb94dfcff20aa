"""Checks that all that is yours is in one region, as far as the file says where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.checks.network.networks import ZONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh


def check_regions(mesh: Mesh, findings: Findings) -> None:
    """Report what is in another region than the first: a mesh without cells is in one."""
    if mesh.cells:
        _check_shared(mesh, findings)
        return
    (first, region), *others = [*_regions(mesh)] or [("", "")]
    for place, other in others:
        if other != region:
            findings.add(
                place,
                f"it is in {other}, and {first} in {region}",
                f"Name one in {region}: all of a mesh is in one region, or it has cells",
                given=(first,),
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
        "secrets_key": "Remove it: each cell gets a key",
        "namespace_id": "Remove it: each cell gets a namespace. One that all cells share is named by its ARN",
        "http_name": f"Write it in that namespace's cell: cells.NAME.http_name: {about.http_name}",
    }
    one_runs_all = len({service.cell for service in mesh.services.values()}) <= 1
    for field, problem in of_one.items():
        within = ("services",) if field == "namespace_id" else ()
        of_all = field != "secrets_key" and bool(mesh.namespace_owner)
        if getattr(about, field) and not of_all and not (field == "namespace_id" and one_runs_all):
            findings.add(f"mesh.{field}", problem, remedies[field], given=("cells",), within=within)


def _regions(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """The place and region of each thing that says so: a zone, or an ARN. Zones are checked against each other."""
    existing = mesh.network.existing
    zones = {f"network.availability_zones[{index}]": zone for index, zone in enumerate(mesh.network.availability_zones)}
    if existing:
        zones = {f"network.existing.subnets.{zone}": zone for zone in existing.subnets}
    yield from [(place, zone[:-1]) for place, zone in zones.items() if ZONE.fullmatch(zone)][:1]
    if mesh.cluster.existing.startswith("arn:"):
        yield "cluster.existing", _region(mesh.cluster.existing)
    if mesh.namespace_owner:
        yield "mesh.namespace_id", _region(mesh.about.namespace_id)
    if mesh.about.secrets_key:
        yield "mesh.secrets_key", _region(mesh.about.secrets_key)
    for name, hierarchy in mesh.hierarchies.items():
        if hierarchy.existing:
            yield f"hierarchies.{name}.existing.arn", _region(hierarchy.existing.arn)
    for name, service in mesh.services.items():
        place, balancer = f"services.{name}.load_balancer", service.load_balancer
        if balancer and balancer.certificate:
            yield f"{place}.certificate", _region(balancer.certificate)
        if balancer:
            yield from ((f"{place}.target_groups.{port}", _region(arn)) for port, arn in balancer.target_groups.items())


def _region(arn: str) -> str:
    return arn.split(":")[3]
