"""Foreign trust domains: a secret for each, and the function that asks their bundle endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from meshcert import naming
from meshcert.contract import bundle_fetches
from meshcert.federation.endpoints import write_endpoints
from meshcert.federation.refreshing import EVERY_S
from meshcert.mesh.federation.declared import declared_endpoints
from meshcert.settings import FederateSettings
from stacks.constructs.certificates.foreign_bundle import ForeignBundleResources
from stacks.constructs.federation.schedule import run_every
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.rights import MeshRights
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms

    from meshcert.material.foreign_bundle import ForeignBundle
    from meshcert.mesh import Mesh
    from stacks.runtime import Platform


class ForeignDomains(Construct):
    """
    The secrets with the bundles of foreign trust domains, and, if one has an endpoint, the federate function.

    Its role reads and writes these secrets and no others.

    Args:
        mesh: Declares at least one foreign trust domain.
        in_files: The bundles of the trust domains whose bundle is a file.
        key: Encrypts the secrets.
        through_secrets_manager: The right to use that key on the way through Secrets Manager.
        deploy: Publishes the first versions.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: Mesh,
        in_files: Mapping[str, ForeignBundle],
        key: kms.IKey,
        through_secrets_manager: iam.PolicyStatement,
        deploy: PythonFunction,
        platform: Platform,
    ) -> None:
        super().__init__(scope, construct_id)
        for trust_domain in mesh.trust_domains:
            ForeignBundleResources(
                self,
                f"Bundle-{trust_domain}",
                mesh=mesh.name,
                trust_domain=trust_domain,
                in_files=in_files,
                key=key,
                deploy=deploy,
            )
        if endpoints := declared_endpoints(mesh.trust_domains):
            table = self._table(mesh.name)
            function = PythonFunction(
                self,
                "Federate",
                name="federate",
                platform=platform,
                settings=FederateSettings(mesh.name, table, write_endpoints(endpoints)),
                timeout=Duration.seconds(90),
            )
            self._grant(function.role, MeshRights(mesh.name), table, through_secrets_manager)
            run_every(
                self,
                mesh=mesh.name,
                name="federate",
                every_s=EVERY_S,
                function=function,
                description="Asks the bundle endpoints of foreign trust domains that are due",
            )

    def _table(self, mesh: str) -> str:
        """The table of what is remembered of each endpoint; its name."""
        name = naming.bundle_fetches_table(mesh)
        table = dynamodb.Table(
            self,
            "Fetches",
            table_name=name,
            partition_key=dynamodb.Attribute(name=bundle_fetches.TRUST_DOMAIN, type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            # It goes with the last endpoint, and with a deploy that is rolled back. CloudFormation would leave a
            # protected one there, and its name would be taken at the next deploy. Written out, so that an update can
            # switch it off: what is left out stays as it is (aws-cdk#9975).
            deletion_protection=False,
            removal_policy=RemovalPolicy.DESTROY,
        )
        accept(table, "AwsSolutions-DDB3", "Every row is written again at the next look; the bundles are in secrets.")
        return name

    def _grant(self, role: iam.Role, rights: MeshRights, table: str, use_key: iam.PolicyStatement) -> None:
        rights.attach(
            role,
            [
                rights.foreign_bundle_secrets(
                    "PublishForeignBundles",
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:GetSecretValue",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:UpdateSecretVersionStage",
                ),
                use_key,
                rights.table("RememberFetches", table, "dynamodb:GetItem", "dynamodb:PutItem"),
            ],
        )
