"""The mesh's own SPIFFE bundle for partners: the bucket, and the function that alone writes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from meshcert import naming
from meshcert.federation.own_publication import EVERY_S
from meshcert.settings import PublisherSettings
from stacks.constructs.federation.schedule import run_every
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.rights import MeshRights
from stacks.findings import accept

if TYPE_CHECKING:
    from constructs import IDependable

    from meshcert.mesh import Mesh
    from meshcert.mesh.federation.published import PublishedBundle
    from stacks.runtime import Platform


def bucket_name(mesh: str) -> str:
    """The bucket's name in the stack's account and region, known to other stacks' policies without an import."""
    return naming.bundle_bucket(mesh, Aws.ACCOUNT_ID, Aws.REGION)


def published_roots(mesh: Mesh) -> tuple[str, ...]:
    """The deploy function's settings about the mesh's own bundle, if it publishes one."""
    published = mesh.about.published_bundle
    return (bucket_name(mesh.name), mesh.about.trust_domain, " ".join(published.hierarchies)) if published else ()


class BundleBucket(s3.Bucket):
    """
    A bucket with one object over TLS only, which the publisher function alone may write.

    Nobody outside the account may read it, unless the mesh file says so. For a distribution nothing is unblocked: a
    policy that names one is not public (S3 guide, "The meaning of public"). For everybody this one bucket lets go of
    the two settings of Block Public Access that are about policies, and keeps those about ACLs; the account's own
    settings go before it.

    It is kept with what it holds when it leaves the template, and its policy goes: nobody outside can read it any more.
    """

    def __init__(self, scope: Construct, construct_id: str, *, mesh: str, published: PublishedBundle) -> None:
        super().__init__(
            scope,
            construct_id,
            bucket_name=bucket_name(mesh),
            block_public_access=s3.BlockPublicAccess(
                block_public_acls=True,
                ignore_public_acls=True,
                block_public_policy=not published.public,
                restrict_public_buckets=not published.public,
            ),
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            # Who fetched a root from here a year ago can be told what it was.
            versioned=True,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        accept(
            self,
            "AwsSolutions-S1",
            "It holds public roots for everybody who is told its URL; who reads it is no matter.",
        )
        if published.public:
            accept(
                self, "AwsSolutions-S2", "The mesh file has it public: partners read its one object, a SPIFFE bundle."
            )
        writer = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/" + naming.role(
            mesh, Aws.REGION, naming.PUBLISHER_ROLE
        )
        # Only writing is denied: administrators keep the policy and deletion, so a mistake here locks nobody out.
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OnlyThePublisherWrites",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[self.arn_for_objects("*")],
                conditions={"ArnNotLike": {"aws:PrincipalArn": [writer]}},
            )
        )
        if published.public:
            self._let_read("EverybodyReads", iam.AnyPrincipal(), {})
        if published.distribution:
            self._let_read(
                "TheDistributionReads",
                iam.ServicePrincipal("cloudfront.amazonaws.com"),
                {"StringEquals": {"aws:SourceArn": published.distribution}},
            )

    def _let_read(self, sid: str, reader: iam.IPrincipal, conditions: dict[str, object]) -> None:
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[reader],
                actions=["s3:GetObject"],
                resources=[self.arn_for_objects(naming.BUNDLE_OBJECT)],
                conditions=conditions,
            )
        )


class OwnBundleResources(Construct):
    """
    The bucket, the publisher function, and the schedule that runs it.

    Its role reads trust bundles and writes the one object, and nothing else.

    Args:
        mesh: It publishes its bundle.
        use_key: The right to read secrets encrypted with the mesh's key through Secrets Manager.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: Mesh,
        use_key: iam.PolicyStatement,
        platform: Platform,
    ) -> None:
        super().__init__(scope, construct_id)
        published = mesh.about.published_bundle
        assert published is not None
        bucket = BundleBucket(self, "Bucket", mesh=mesh.name, published=published)
        function = PythonFunction(
            self,
            "Publisher",
            name=naming.PUBLISHER_ROLE,
            platform=platform,
            settings=PublisherSettings(
                mesh.name,
                mesh.about.trust_domain,
                " ".join(published.hierarchies),
                bucket_name(mesh.name),
                published.refresh_hint_s,
            ),
            timeout=Duration.seconds(60),
        )
        rights = MeshRights(mesh.name)
        rights.attach(
            function.role,
            [
                rights.trust_bundle_secrets("ReadTrustBundles", published.hierarchies, "secretsmanager:GetSecretValue"),
                use_key,
                *rights.own_bundle("Bundle", "s3:GetObject", "s3:PutObject"),
            ],
        )
        self._schedule = run_every(
            self,
            mesh=mesh.name,
            name=naming.PUBLISHER_ROLE,
            every_s=EVERY_S,
            function=function,
            description="Has partners find the roots of now",
        )
        self.run_after(bucket)
        CfnOutput(
            scope,
            "BundleUrl",
            value=naming.bundle_url(bucket_name(mesh.name), Aws.REGION, Aws.URL_SUFFIX),
            description="Where the mesh's SPIFFE bundle is at Amazon S3; who may read it, the mesh file says",
        )

    def run_after(self, *resources: IDependable) -> None:
        """
        Let the function run only once these are there: what it reads, and whatever else may fail.

        CloudFormation deletes no bucket that holds anything, so a first deploy could not be taken back.
        """
        self._schedule.node.add_dependency(*resources)
