"""The bucket that AWS Private CA writes revocation lists to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from meshcert import naming
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constructs import Construct


def bucket_name(mesh: str) -> str:
    """The bucket's name in the stack's account and region, known to other stacks' policies without an import."""
    return naming.revocation_bucket(mesh, Aws.ACCOUNT_ID, Aws.REGION)


class RevocationBucket(s3.Bucket):
    """
    A private, encrypted bucket over TLS only: Private CA writes to it, and tasks read the lists of the CAs they trust.

    A list is public by nature and signed by its CA, so S3's own encryption is enough: a KMS key would have to admit
    Private CA and every task, and protect nothing. Old versions are not kept: each list includes what the one before
    said, its number only grows, and nobody goes back to an older one.

    It outlives the stack with its policy, like the CAs that write to it: without the policy they could write no list
    any more, and the last ones end within a week. Private CA writes a test object as soon as a CA is made, and
    CloudFormation deletes no bucket that holds anything (template reference, "AWS::S3::Bucket"), so the bucket is kept
    even when its own creation is rolled back: otherwise the rollback itself would fail.

    Args:
        readers: Accounts of other cells whose tasks look peers up in these lists.
    """

    def __init__(self, scope: Construct, construct_id: str, *, mesh: str, readers: Iterable[str] = ()) -> None:
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
            removal_policy=RemovalPolicy.RETAIN,
        )
        accept(
            self,
            "AwsSolutions-S1",
            "It holds signed public lists; who wrote one, its signature says, and CloudTrail tells who read it.",
        )
        # As in the Private CA guide, "Access policies for CRLs in Amazon S3". Private CA checks access while it creates
        # a CA, so the policy cannot name the CA's ARN.
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
        accounts = [iam.AccountPrincipal(account) for account in readers]
        if accounts:
            # For the same reason it names no CA: all of them here are shared, and their lists are public. To list the
            # bucket tells a list that is not there yet from one that is denied (S3 API reference, GetObject).
            self.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="OtherCellsReadLists",
                    principals=accounts,
                    actions=["s3:GetObject", "s3:ListBucket"],
                    resources=[self.bucket_arn, self.arn_for_objects("crl/*")],
                )
            )
        assert self.policy is not None
        self.policy.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
