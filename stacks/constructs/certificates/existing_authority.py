"""A CA of the user's in the place of a hierarchy: nothing is made but ACM's permission, if the mesh file says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from aws_cdk import aws_acmpca as acmpca
from constructs import Construct

from meshcert.issuing.existing_authority import ACM_ACTIONS

if TYPE_CHECKING:
    from meshcert.mesh.issuance import ExistingAuthority


class NamedAuthority(Construct):
    """
    The CA that a hierarchy of the mesh file names.

    The functions find its root at the end of its chain, and believe the one alone that the mesh file names.

    Args:
        construct_id: Name of the hierarchy.
        existing: What the mesh file says of it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, existing: ExistingAuthority) -> None:
        super().__init__(scope, construct_id)
        if existing.permit_acm:
            permission = acmpca.CfnPermission(
                self,
                "AcmMayRenew",
                actions=list(ACM_ACTIONS),
                certificate_authority_arn=existing.arn,
                principal="acm.amazonaws.com",
            )
            # Others may have come to rely on it.
            permission.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.issuing_arn = existing.arn
        """ARN of the CA that signs leaves."""
        self.root_arn = existing.arn
        """ARN of the CA at the end of whose chain the trust anchor is: the same, for the root may be anywhere."""
        self.arns: tuple[str, ...] = (existing.arn,)
        """ARNs of all CAs that are known of the hierarchy."""
