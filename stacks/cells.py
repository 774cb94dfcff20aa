"""The stacks of one cell: a stage with its account and region, whose name its stacks' names begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Annotations, Environment, Stage

from meshcert.mesh.cells.slices import crossings, in_cell, missing_authorities, sharing
from stacks.meshes import add_stacks

if TYPE_CHECKING:
    from aws_cdk import App

    from meshcert.mesh import Mesh
    from stacks.runtime import Platform


def add_cell(app: App, mesh: Mesh, cell: str, platform: Platform) -> None:
    """
    Add the stacks of a cell, ``MESH-CELL-pki`` and so on, as far as its CAs are known.

    A cell whose certificates another cell's CAs sign comes a deploy later: until then nobody knows their ARNs.

    Raises:
        KeyError: If there is no such cell.
    """
    place = mesh.cells[cell]
    if missing := missing_authorities(mesh, cell):
        makers = " and ".join(dict.fromkeys(mesh.hierarchies[name].cell for name in missing))
        Annotations.of(app).add_info(
            f"{mesh.name}-{cell} has no stacks yet: hierarchies.{missing[0]}.authority is missing. "
            f"Deploy {makers} first (make deploy-cell CELL={mesh.hierarchies[missing[0]].cell}), which prints it"
        )
        return
    stage = Stage(app, f"{mesh.name}-{cell}", env=Environment(account=place.account, region=place.region))
    add_stacks(stage, "", in_cell(mesh, cell), platform, shared=sharing(mesh, cell), crossings=crossings(mesh, cell))
