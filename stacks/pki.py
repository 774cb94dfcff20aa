"""The CA hierarchies: what must outlive all code, so it has a stack of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack

from stacks.constructs.hierarchy import HierarchyAuthorities
from stacks.constructs.revocation_bucket import RevocationBucket

if TYPE_CHECKING:
    from constructs import Construct

    from meshcert.mesh import Mesh


class PkiStack(Stack):
    """
    One root CA, or a root CA and its issuing CA, for each hierarchy of the mesh file.

    Args:
        scope: The app.
        construct_id: The stack's name.
        mesh: The mesh file.
    """

    def __init__(self, scope: Construct, construct_id: str, *, mesh: Mesh) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"meshcert {mesh.name}: private CA hierarchies",
            termination_protection=True,
        )
        makes_lists = any(hierarchy.writes_lists for hierarchy in mesh.hierarchies.values())
        bucket = RevocationBucket(self, "RevocationLists", mesh=mesh.name) if makes_lists else None
        self.hierarchies: dict[str, HierarchyAuthorities] = {}
        for name, hierarchy in mesh.hierarchies.items():
            authorities = HierarchyAuthorities(
                self, name, hierarchy=hierarchy, lists=bucket if hierarchy.writes_lists else None
            )
            self.hierarchies[name] = authorities
            CfnOutput(self, f"{name}RootCa", value=authorities.root_arn)
            # Exported by hand and always: an export that came and went with its users could not be removed while
            # the next stack still imports it.
            self.export_value(authorities.root_arn)
            if authorities.issuing_arn != authorities.root_arn:
                self.export_value(authorities.issuing_arn)
