"""
The CDK app: one mesh file becomes four stacks and two more for each shard, or up to four in each of its cells.

Context (``cdk deploy -c name=value``): ``mesh`` (path of the mesh file), ``architecture`` (``arm64`` or ``x86_64``) and
``python`` (the functions' Python, for example ``3.13``; with ``any-python`` one that Lambda may not have), and
``callers_one_by_one`` (services whose callers have a rule of their own each, and the group that they share), and
``moves_asked``, which ``make deploy`` says: without it a mesh with shards is told what a plain deploy leaves out; it
says ``logs_of_before``, too, log groups of yours that tasks of shards write to until their stacks are deployed.
Nothing is looked up: synthesis is offline and the same everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aws_cdk import App

from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh
from meshcert.mesh.checks.stacks.caller_rules import one_by_one_faults
from meshcert.mesh.edges.callers import ONE_BY_ONE, one_by_one
from meshcert.mesh.stacks.shards import MOVES_ASKED
from stacks.cells import add_cell
from stacks.meshes import add_stacks
from stacks.runtime import Platform


def build(app: App) -> App:
    """
    Add the stacks of the mesh file that the app's context names.

    Raises:
        MeshInvalid: If the mesh file has faults, or the context names an unknown architecture, or services whose
            callers cannot be let in one by one.
    """
    mesh = load_mesh(Path(app.node.get_context("mesh")))
    platform = Platform.from_context(app.node)
    if mesh.cells:
        for cell in mesh.cells:
            if waits := add_cell(app, mesh, cell, platform):
                sys.stderr.write(f"{waits}\n")
    else:
        if faults := tuple(one_by_one_faults(mesh, one_by_one(app.node.try_get_context(ONE_BY_ONE)))):
            raise MeshInvalid("context of the deploy", faults)
        if mesh.shards and not app.node.try_get_context(MOVES_ASKED):
            sys.stderr.write(
                f"{mesh.name} has shards: deploy it with make deploy, which refuses moves that would shut running "
                'callers out; cdk deploy asks nobody (docs/mesh-file.md, "Shards")\n'
            )
        add_stacks(app, f"{mesh.name}-", mesh, platform)
    return app


if __name__ == "__main__":
    try:
        build(App()).synth()
    except MeshInvalid as error:
        sys.exit(str(error))
