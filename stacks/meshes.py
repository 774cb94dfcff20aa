"""The stacks of a mesh, in the order they deploy: pki, identities, services, renewal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Tags

from meshcert import naming
from stacks.identities import IdentitiesStack
from stacks.pki import PkiStack
from stacks.renewal import RenewalStack
from stacks.services import ServicesStack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from constructs import Construct

    from meshcert.mesh import Mesh
    from meshcert.mesh.cells.slices import Crossing, RemoteCallers, Sharing
    from stacks.runtime import Platform


def add_stacks(
    scope: Construct,
    prefix: str,
    mesh: Mesh,
    platform: Platform,
    *,
    shared: Mapping[str, Sharing] | None = None,
    crossings: Sequence[Crossing] = (),
    remote_callers: RemoteCallers | None = None,
) -> None:
    """
    Add the stacks of a mesh.

    Args:
        prefix: What their names begin with in this scope.
        mesh: A whole mesh, or the part of it that one cell deploys.
        shared: The hierarchies whose CAs are shared with other accounts.
        crossings: The ways between its services and other cells' networks.
        remote_callers: Who in other cells finds its tasks by a role.
    """
    # "Tagging isn't supported for shared namespaces" (Cloud Map developer guide), and a stack's tags go to all in it.
    untagged = ["AWS::ServiceDiscovery::Service", "aws:cdk:stack"] if mesh.namespace_owner else []
    Tags.of(scope).add(naming.TAG, mesh.name, exclude_resource_types=untagged)
    pki = PkiStack(scope, f"{prefix}pki", mesh=mesh, shared=shared)
    if not (mesh.identities or mesh.services):
        return
    identities = IdentitiesStack(scope, f"{prefix}identities", mesh=mesh, pki=pki, platform=platform)
    services = ServicesStack(
        scope,
        f"{prefix}services",
        mesh=mesh,
        pki=pki,
        key=identities.key,
        platform=platform,
        crossings=crossings,
        remote_callers=remote_callers,
    )
    renewal = RenewalStack(scope, f"{prefix}renewal", mesh=mesh, platform=platform)
    identities.add_stack_dependency(pki)
    services.add_stack_dependency(identities)
    for shard in identities.shards.stacks:
        services.add_stack_dependency(shard)
    for shard in services.shards.stacks:
        renewal.add_stack_dependency(shard)
    renewal.add_stack_dependency(services)
