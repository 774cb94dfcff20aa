"""
The CDK app: one mesh file becomes four stacks, and two more for each shard.

Context (``cdk deploy -c name=value``): ``mesh`` (path of the mesh file), ``architecture`` (``arm64`` or ``x86_64``) and
``python`` (the functions' Python, for example ``3.13``; with ``any-python`` one that Lambda may not have). Nothing is
looked up: synthesis is offline and the same everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aws_cdk import App, Tags

from meshcert import naming
from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh
from stacks.identities import IdentitiesStack
from stacks.pki import PkiStack
from stacks.renewal import RenewalStack
from stacks.runtime import Platform
from stacks.services import ServicesStack


def build(app: App) -> App:
    """
    Add the stacks of the mesh file that the app's context names.

    Raises:
        MeshInvalid: If the mesh file has faults, or the context names an unknown architecture.
    """
    mesh = load_mesh(Path(app.node.get_context("mesh")))
    platform = Platform.from_context(app.node)
    name = mesh.name
    pki = PkiStack(app, f"{name}-pki", mesh=mesh)
    identities = IdentitiesStack(app, f"{name}-identities", mesh=mesh, pki=pki, platform=platform)
    services = ServicesStack(app, f"{name}-services", mesh=mesh, pki=pki, key=identities.key, platform=platform)
    renewal = RenewalStack(app, f"{name}-renewal", mesh=mesh, platform=platform)
    identities.add_stack_dependency(pki)
    for shard in identities.shards.stacks:
        services.add_stack_dependency(shard)
    services.add_stack_dependency(identities)
    for shard in services.shards.stacks:
        renewal.add_stack_dependency(shard)
    renewal.add_stack_dependency(services)
    Tags.of(app).add(naming.TAG, name)
    return app


if __name__ == "__main__":
    try:
        build(App()).synth()
    except MeshInvalid as error:
        sys.exit(str(error))
