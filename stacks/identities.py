"""Who the workloads are: certificates in ACM, the secrets with their material, and the function that fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration, RemovalPolicy, Stack  # noqa: TID251 -- stacks/ is where the CDK lives
from aws_cdk import aws_dynamodb as dynamodb  # noqa: TID251
from aws_cdk import aws_events as events  # noqa: TID251
from aws_cdk import aws_events_targets as targets  # noqa: TID251
from aws_cdk import aws_iam as iam  # noqa: TID251
from aws_cdk import aws_kms as kms  # noqa: TID251
from aws_cdk import aws_sqs as sqs  # noqa: TID251

from meshcert import naming
from stacks.constructs.identity import Identity, TrustBundle
from stacks.constructs.python_function import PythonFunction
from stacks.findings import accept

if TYPE_CHECKING:
    from constructs import Construct  # noqa: TID251

    from meshcert.mesh import Mesh
    from stacks.pki import PkiStack
    from stacks.platform import Platform


class IdentitiesStack(Stack):
    """
    Certificates, secrets and the export function.

    Args:
        scope: The app.
        construct_id: The stack's name.
        mesh: The mesh file.
        pki: The CAs; only their ARNs cross over.
        platform: Where the function runs.
    """

    def __init__(self, scope: Construct, construct_id: str, *, mesh: Mesh, pki: PkiStack, platform: Platform) -> None:
        super().__init__(
            scope, construct_id, description=f"meshcert {mesh.mesh.name}: certificates, secrets and the export function"
        )
        name = mesh.mesh.name
        self.key = kms.Key(
            self,
            "Key",
            alias=naming.key_alias(name),
            description=f"meshcert {name}: encrypts the secrets that hold private keys",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        self.export_value(self.key.key_arn)
        table = dynamodb.Table(
            self,
            "Table",
            table_name=naming.identities_table(name),
            partition_key=dynamodb.Attribute(name="name", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            # Every row is written again by a deploy: the table remembers nothing that the templates do not say.
            removal_policy=RemovalPolicy.DESTROY,
        )
        table.add_global_secondary_index(
            index_name=naming.IDENTITIES_BY_CERTIFICATE,
            partition_key=dynamodb.Attribute(name="certificate_arn", type=dynamodb.AttributeType.STRING),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        export = PythonFunction(
            self,
            "Export",
            mesh=name,
            name="export",
            platform=platform,
            environment={"MESHCERT_MESH": name, "MESHCERT_IDENTITIES_TABLE": table.table_name},
        )

        bundles = {
            hierarchy: TrustBundle(
                self,
                f"Trust-{hierarchy}",
                mesh=name,
                hierarchy=hierarchy,
                root_arn=authorities.root_arn,
                reissue=mesh.hierarchies[hierarchy].reissue,
                key=self.key,
                export=export,
            )
            for hierarchy, authorities in pki.hierarchies.items()
        }
        for identity, declared in mesh.identities.items():
            Identity(
                self,
                f"Identity-{identity}",
                name=identity,
                mesh=mesh,
                hierarchy=pki.hierarchies[declared.hierarchy],
                key=self.key,
                export=export,
            ).published_after(bundles.values())

        self._grant(export, name, table)
        self._export_on_renewal(export)

    def _grant(self, export: PythonFunction, mesh: str, table: dynamodb.Table) -> None:
        """
        What the export function may do, and nothing besides; a test compares it with what it does.

        The policy belongs to the function's construct, which the custom resources depend on: its rights are there
        before they run, and still there when they are deleted.
        """
        of_this_mesh = {"StringEquals": {f"aws:ResourceTag/{naming.TAG}": mesh}}
        statements = [
            iam.PolicyStatement(
                sid="ExportCertificates",
                actions=["acm:DescribeCertificate", "acm:GetCertificate", "acm:ExportCertificate"],
                resources=[self.format_arn(service="acm", resource="certificate", resource_name="*")],
                conditions=of_this_mesh,
            ),
            iam.PolicyStatement(
                sid="ReadTrustAnchors",
                actions=["acm-pca:GetCertificateAuthorityCertificate"],
                resources=[self.format_arn(service="acm-pca", resource="certificate-authority", resource_name="*")],
                conditions=of_this_mesh,
            ),
            iam.PolicyStatement(
                sid="PublishSecrets",
                actions=[
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:UpdateSecretVersionStage",
                ],
                resources=[
                    f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret:meshcert/{mesh}/*"
                ],
            ),
            # Who changes a value needs both (Secrets Manager user guide, "Permissions for the KMS key").
            iam.PolicyStatement(
                sid="EncryptSecrets",
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=[self.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{Aws.REGION}.{Aws.URL_SUFFIX}"}},
            ),
            iam.PolicyStatement(
                sid="RememberIdentities",
                actions=["dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:GetItem"],
                resources=[table.table_arn],
            ),
            iam.PolicyStatement(
                sid="FindIdentityByCertificate",
                actions=["dynamodb:Query"],
                resources=[f"{table.table_arn}/index/{naming.IDENTITIES_BY_CERTIFICATE}"],
            ),
        ]
        policy = iam.Policy(export, "Rights", statements=statements, roles=[export.role])
        for resource, reason in {
            "Resource::arn:<AWS::Partition>:acm:<AWS::Region>:<AWS::AccountId>:certificate/*": (
                "ACM makes up certificate ids; the condition limits this to certificates tagged with this mesh."
            ),
            "Resource::arn:<AWS::Partition>:acm-pca:<AWS::Region>:<AWS::AccountId>:certificate-authority/*": (
                "The condition limits this to CAs tagged with this mesh; CA certificates are public."
            ),
            f"Resource::arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:meshcert/{mesh}/*": (
                "The prefix is this mesh's own: every secret under it is written by this function."
            ),
        }.items():
            accept(policy, f"AwsSolutions-IAM5[{resource}]", reason)

    def _export_on_renewal(self, export: PythonFunction) -> None:
        """
        Export again whenever ACM has renewed.

        The rule names no ARNs: the function finds the identity itself and ignores certificates that are not ours.
        """
        dead_letters = sqs.Queue(
            self,
            "RenewalDeadLetters",
            enforce_ssl=True,
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
        )
        accept(dead_letters, "AwsSolutions-SQS3", "It is itself the dead-letter queue of the rule.")
        events.Rule(
            self,
            "CertificateRenewed",
            description="ACM has renewed a private certificate: export it again, or its proxies go stale",
            event_pattern=events.EventPattern(
                source=["aws.acm"], detail_type=["ACM Certificate Available"], detail={"Action": ["RENEWAL"]}
            ),
            targets=[
                targets.LambdaFunction(
                    export.function,
                    dead_letter_queue=dead_letters,
                    max_event_age=Duration.hours(24),
                    retry_attempts=185,
                )
            ],
        )
