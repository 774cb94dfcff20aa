"""The bucket that AWS Private CA writes revocation lists to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from meshcert import naming
from stacks.findings import accept

if TYPE_CHECKING:
    from constructs import Construct


def bucket_name(mesh: str) -> str:
    """Its name, in the stack's account and region: policies of other stacks need no import."""
    return naming.revocation_bucket(mesh, Aws.ACCOUNT_ID, Aws.REGION)


class RevocationBucket(s3.Bucket):
    """
    Private, encrypted, TLS only; Private CA writes, and each task reads the lists of the CAs it trusts.

    A list is public by nature and signed by its CA, so S3's own encryption does: a KMS key would have to admit Private
    CA and every task for nothing. Old versions are not kept: a list says all that the one before said, has a number
    that only grows, and nobody takes an older one back.

    It outlives the stack, as the CAs do that write to it.

    Args:
        scope: The stack.
        construct_id: Its id.
        mesh: Name of the mesh.
    """

    def __init__(self, scope: Construct, construct_id: str, *, mesh: str) -> None:
        super().__init__(
            scope,
            construct_id,
            bucket_name=bucket_name(mesh),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            # It takes the one ACL that Private CA sets, bucket-owner-full-control, and no other (S3 guide, "Object
            # Ownership").
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        accept(
            self,
            "AwsSolutions-S1",
            "It holds signed public lists; who wrote one, its signature says, and CloudTrail tells who read it.",
        )
        # As in the Private CA guide, "Access policies for CRLs in Amazon S3". A CA is checked against it while it is
        # made, so no ARN of one can stand here yet.
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="PrivateCaWritesLists",
                principals=[iam.ServicePrincipal("acm-pca.amazonaws.com")],
                actions=["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"],
                resources=[self.bucket_arn, self.arn_for_objects("*")],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {
                        "aws:SourceArn": f"arn:{Aws.PARTITION}:acm-pca:{Aws.REGION}:{Aws.ACCOUNT_ID}"
                        ":certificate-authority/*"
                    },
                },
            )
        )
