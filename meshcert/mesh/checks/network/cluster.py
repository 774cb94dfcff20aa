"""Checks of the ECS cluster and of the log groups, the mesh's own or yours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.network import Cell
    from meshcert.mesh.services import Cluster, Logs


def check_cluster(mesh: Mesh, findings: Findings) -> None:
    """Report a cluster of yours of which the file says what only its owner decides."""
    _check_cluster("cluster", mesh.cluster, findings)
    for name, cell in mesh.cells.items():
        if cell.cluster:
            _check_cluster(f"cells.{name}.cluster", cell.cluster, findings)


def _check_cluster(place: str, cluster: Cluster, findings: Findings) -> None:
    for field in sorted(cluster.model_fields_set - {"existing"}) if cluster.existing else ():
        findings.add(
            f"{place}.{field}",
            "the cluster is yours, and this says how to make one",
            f"Remove it, or remove {place}.existing",
            given=(f"{place}.existing",),
        )


def check_logs(mesh: Mesh, findings: Findings) -> None:
    """Report a log group of yours of which the file says what is of made ones, and one of another account or region."""
    _check_logs("logs", mesh.logs, findings)
    if mesh.cells and mesh.logs.existing.startswith("arn:"):
        findings.add(
            "logs.existing",
            "it is of one account and region, and each cell has one of its own",
            f"Write its name alone, {mesh.logs.existing_name}, if each cell has one of this name, or cells.NAME.logs",
            given=("cells",),
        )
    for name, cell in mesh.cells.items():
        if cell.logs:
            _check_logs(f"cells.{name}.logs", cell.logs, findings)
            _check_cell(name, cell, cell.logs.existing, findings)


def _check_logs(place: str, logs: Logs, findings: Findings) -> None:
    if logs.keep_made and not logs.existing:
        findings.add(
            f"{place}.keep_made",
            "what a deploy has made is where tasks write, and stays",
            f"Remove it, or name a log group of yours: {place}.existing",
            given=(f"{place}.existing",),
        )
    if logs.existing and logs.group_per_service and not logs.keep_made:
        findings.add(
            f"{place}.group_per_service",
            "the log group is yours, and all services write to it",
            "Remove it, or add keep_made: true while those of the services are to stay",
            given=(f"{place}.existing", f"{place}.keep_made"),
        )


def _check_cell(name: str, cell: Cell, existing: str, findings: Findings) -> None:
    if existing.startswith("arn:") and existing.split(":")[3:5] != [cell.region, cell.account]:
        findings.add(
            f"cells.{name}.logs.existing",
            f"cell {name} is account {cell.account} in {cell.region}, and the log group is another place's",
            "Name one of that account and region",
            given=(f"cells.{name}.account", f"cells.{name}.region"),
        )
