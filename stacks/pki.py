"""The CA hierarchies, in a stack of their own because they must outlive all code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, CfnWaitConditionHandle, Stack

from meshcert.mesh.stacks.logical_ids import root_output, shared_output
from stacks.constructs.certificates.authority_shares import AuthorityShares
from stacks.constructs.certificates.existing_authority import NamedAuthority
from stacks.constructs.certificates.hierarchy import HierarchyAuthorities
from stacks.constructs.certificates.revocation_bucket import RevocationBucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from meshcert.mesh import Mesh
    from meshcert.mesh.cells.slices import Sharing
    from stacks.constructs.certificates.hierarchy import SigningAuthorities


class PkiStack(Stack):
    """
    The stack with one root CA, or a root CA and its issuing CA, for each hierarchy whose CA is not the user's.

    Args:
        shared: The hierarchies whose CAs are shared with other accounts; None if there are none.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, mesh: Mesh, shared: Mapping[str, Sharing] | None = None
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"meshcert {mesh.name}: private CA hierarchies",
            termination_protection=True,
        )
        if not any(hierarchy.made for hierarchy in mesh.hierarchies.values()):
            # A stack has at least one resource. This one is nothing and costs nothing.
            CfnWaitConditionHandle(self, "NothingMade")
        writing = [name for name, each in mesh.hierarchies.items() if each.writes_lists and each.made]
        readers = dict.fromkeys(each for name in writing if shared and name in shared for each in shared[name].reading)
        bucket = RevocationBucket(self, "RevocationLists", mesh=mesh.name, readers=readers) if writing else None
        self.hierarchies: dict[str, SigningAuthorities] = {}
        for name, hierarchy in mesh.hierarchies.items():
            if hierarchy.existing:
                self.hierarchies[name] = NamedAuthority(self, name, existing=hierarchy.existing)
                continue
            authorities = HierarchyAuthorities(
                self, name, hierarchy=hierarchy, lists=bucket if hierarchy.writes_lists else None
            )
            self.hierarchies[name] = authorities
            CfnOutput(self, root_output(name), value=authorities.root_arn)
            # Exported always: the CDK would drop an export with its last user, and CloudFormation refuses that
            # while the next stack still imports it.
            self.export_value(authorities.root_arn)
            if authorities.issuing_arn != authorities.root_arn:
                self.export_value(authorities.issuing_arn)
            if shared and name in shared:
                if shared[name].reading:
                    AuthorityShares(
                        self,
                        f"{name}-shares",
                        mesh=mesh.name,
                        hierarchy=name,
                        authorities=authorities,
                        sharing=shared[name],
                    )
                CfnOutput(self, shared_output(name), value=authorities.issuing_arn)
