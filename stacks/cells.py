"""The stacks of one cell: a stage with its account and region, whose name its stacks' names begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Environment, Stage

from meshcert.mesh.cells.slices import crossings, in_cell, missing_authorities, remote_callers, sharing
from stacks.meshes import add_stacks

if TYPE_CHECKING:
    from aws_cdk import App

    from meshcert.mesh import Mesh
    from stacks.runtime import Platform


def add_cell(app: App, mesh: Mesh, cell: str, platform: Platform) -> str:
    """
    Add the stacks of a cell, ``MESH-CELL-pki`` and so on, if its CAs are known.

    A cell whose certificates another cell's CAs sign comes a deploy later: until then nobody knows their ARNs.

    Returns:
        Why it has no stacks yet, and what to do; empty if it has.

    Raises:
        KeyError: If there is no such cell.
    """
    if missing := missing_authorities(mesh, cell):
        name, field = next(iter(missing.items()))
        maker = mesh.hierarchies[name].cell
        return (
            f"cell {cell} has no stacks yet: hierarchies.{name}.{field} is missing. "
            f"Deploy {maker} first, which prints it: make deploy-cell CELL={maker}"
        )
    place = mesh.cells[cell]
    stage = Stage(app, f"{mesh.name}-{cell}", env=Environment(account=place.account, region=place.region))
    add_stacks(
        stage,
        "",
        in_cell(mesh, cell),
        platform,
        shared=sharing(mesh, cell),
        crossings=crossings(mesh, cell),
        remote_callers=remote_callers(mesh, cell),
    )
    return ""
