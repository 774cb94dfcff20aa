"""Checks of the ECS cluster, the mesh's own or yours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh


def check_cluster(mesh: Mesh, findings: Findings) -> None:
    """Report a cluster of yours of which the file says what only its owner decides."""
    for field in sorted(mesh.cluster.model_fields_set - {"existing"}) if mesh.cluster.existing else ():
        findings.add(
            f"cluster.{field}",
            "the cluster is yours, and this says how to make one",
            "Remove it, or remove cluster.existing",
            given=("cluster.existing",),
        )
