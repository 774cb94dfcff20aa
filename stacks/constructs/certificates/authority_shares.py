"""A hierarchy's CAs shared with the accounts of other cells: one share to issue from, one to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_ram as ram
from constructs import Construct

from meshcert import naming

if TYPE_CHECKING:
    from meshcert.mesh.cells.slices import Sharing
    from stacks.constructs.certificates.hierarchy import HierarchyAuthorities

READ = (
    "acm-pca:DescribeCertificateAuthority",
    "acm-pca:GetCertificateAuthorityCertificate",
    "acm-pca:ListPermissions",
)
"""What a deploy and its functions ask of a CA that a cell trusts: all of it public but for the CA's own state."""
_ISSUING = "permission/AWSRAMDefaultPermissionCertificateAuthority"


class AuthorityShares(Construct):
    """
    RAM shares of a hierarchy's CAs.

    A share has one permission for a type of resources (RAM user guide, "Managed permissions"), so there are two:
    certificates of end entities from the CA that signs them, by AWS's own permission; and its certificates, and the
    root's, to be read. Nobody else can change a CA, have it sign a CA, or revoke.

    Accounts outside the owner's organization accept an invitation to each before they count.

    Args:
        authorities: The CAs, which are active before they are shared.
        sharing: With whom.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        hierarchy: str,
        authorities: HierarchyAuthorities,
        sharing: Sharing,
    ) -> None:
        super().__init__(scope, construct_id)
        name = naming.resource_share(mesh, hierarchy, "read")
        read = ram.CfnPermission(
            self,
            "Read",
            name=name,
            resource_type="acm-pca:CertificateAuthority",
            policy_template={"Effect": "Allow", "Action": list(READ)},
        )
        shares = [
            ram.CfnResourceShare(
                self,
                "Reading",
                name=name,
                resource_arns=list(authorities.arns),
                principals=list(sharing.reading),
                permission_arns=[read.attr_arn],
            )
        ]
        if sharing.issuing:
            shares.append(
                ram.CfnResourceShare(
                    self,
                    "Issuing",
                    name=naming.resource_share(mesh, hierarchy, "issue"),
                    resource_arns=[authorities.issuing_arn],
                    principals=list(sharing.issuing),
                    permission_arns=[f"arn:{Aws.PARTITION}:ram::aws:{_ISSUING}"],
                )
            )
        for share in shares:
            share.node.add_dependency(authorities)
