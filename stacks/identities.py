"""The identities: certificates in ACM, secrets with material, and the functions that fill or check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from meshcert import naming
from meshcert.contract import acknowledgements, issuances, route_rows
from meshcert.deploying.foreign_bundles import declared_bundle, digest_of
from meshcert.mesh import services_by_identity
from meshcert.mesh.checks.federation.files import bundles_in_files
from meshcert.mesh.existing import named_lists, roots_in_files
from meshcert.publishing.declared_roots import roots_entry
from meshcert.settings import DeploySettings, ExportSettings, VerifySettings
from stacks.bundling import ROOT
from stacks.constructs.certificates.client_role import client_role
from stacks.constructs.certificates.declared_bundles import declared_bundles
from stacks.constructs.certificates.identity import (
    PUBLISHED_WITHIN,
    IdentityResources,
    TrustBundleResources,
)
from stacks.constructs.certificates.issuance import issuing_rights, through_secrets_manager
from stacks.constructs.federation.foreign_domains import ForeignDomains
from stacks.constructs.federation.own_bundle import OwnBundleResources, published_roots
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.rights import MeshRights
from stacks.shards import ShardStacks, key_in
from stacks.tables import expiring_table, lasting_table, text_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constructs import Construct

    from meshcert.mesh import Mesh
    from stacks.pki import PkiStack
    from stacks.runtime import Platform

USES_OF_KEY = ("kms:GenerateDataKey", "kms:Decrypt")
"""What changing a secret's value takes (Secrets Manager user guide, "Permissions for the KMS key")."""


class IdentitiesStack(Stack):
    """
    The stack of certificates, secrets, tables, and the three functions that reach private keys.

    Identities of shards have a stack each beside it: certificate, secret and publication.

    Args:
        pki: The stack of the CAs; only their ARNs are imported.
    """

    def __init__(self, scope: Construct, construct_id: str, *, mesh: Mesh, pki: PkiStack, platform: Platform) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"meshcert {mesh.name}: certificates, secrets, export",
            termination_protection=mesh.about.deletion_protection,
        )
        name = mesh.name
        self._protected = mesh.about.deletion_protection
        self.shards = ShardStacks(self, mesh=mesh, holds="certificates and secrets")
        self.key = self._key(mesh)
        identities = lasting_table(self, "Table", naming.identities_table(name), "name", protected=self._protected)
        identities.add_global_secondary_index(
            index_name=naming.IDENTITIES_BY_CERTIFICATE,
            partition_key=text_key("certificate_arn"),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        lifecycle = lasting_table(self, "Lifecycle", naming.lifecycle_table(name), "name", protected=self._protected)
        lifecycle.add_global_secondary_index(
            index_name=naming.LIFECYCLE_UNSETTLED,
            partition_key=text_key("unsettled"),
            sort_key=dynamodb.Attribute(name="look_at", type=dynamodb.AttributeType.NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        # Each task says in it what its Envoy serves; rows of tasks that are gone expire.
        expiring_table(
            self,
            "Acknowledgements",
            naming.acknowledgements_table(name),
            (acknowledgements.SERVICE, acknowledgements.TASK, acknowledgements.EXPIRES),
            "Running tasks write every row again within five minutes.",
            protected=self._protected,
        )
        # Of every mesh: this stack is updated first, and whoever takes the last routes out would find no table to go
        # back to when the services' stack fails.
        lasting_table(self, "Routes", naming.routes_table(name), route_rows.SERVICE, protected=self._protected)
        if mesh.has_own_keys:
            # Requests to Private CA, which the export role alone can read.
            expiring_table(
                self,
                "Issuances",
                naming.issuances_table(name),
                (issuances.IDENTITY, issuances.REPLACES, issuances.EXPIRES),
                "A row holds an encrypted key until it is published: copies would keep it.",
                # It goes with the last identity that has one, and with a deploy that is rolled back. CloudFormation
                # would leave a protected one there, and its name would be taken at the next deploy.
                protected=False,
            )
        roots_of_yours = roots_in_files(mesh, ROOT)
        roots = " ".join(roots_entry(arn, root) for arn, root in roots_of_yours.items())
        export = PythonFunction(
            self,
            "Export",
            name="export",
            platform=platform,
            settings=ExportSettings(name, identities.table_name, roots),
            timeout=Duration.seconds(60),
        )
        self._grant(export.role, mesh)
        in_files = bundles_in_files(mesh, ROOT)
        # The same work for CloudFormation. As a function of its own, IAM can say who may invoke which.
        deploy = PythonFunction(
            self,
            "Deploy",
            name="deploy",
            platform=platform,
            settings=DeploySettings(
                name,
                identities.table_name,
                lifecycle.table_name,
                declared_bundles(mesh, pki.hierarchies),
                digest_of(map(declared_bundle, in_files.values())) if in_files else "",
                roots,
                *published_roots(mesh),
            ),
            timeout=Duration.minutes(5),
            role=export.role,
            # Once CloudFormation has stopped waiting for an answer, a retried request would bring an older state back.
            asynchronous=PUBLISHED_WITHIN,
        )

        self._verify_function(mesh, platform, roots)

        bundles = {
            hierarchy: TrustBundleResources(
                self,
                f"Trust-{hierarchy}",
                mesh=mesh,
                hierarchy=hierarchy,
                authorities=pki.hierarchies,
                roots_of_yours=roots_of_yours,
                key=self.key,
                deploy=deploy,
            )
            for hierarchy in mesh.hierarchies
        }
        if mesh.trust_domains:
            ForeignDomains(
                self,
                "Federation",
                mesh=mesh,
                in_files=in_files,
                key=self.key,
                through_secrets_manager=through_secrets_manager("KeyOfBundles", self.key, *USES_OF_KEY),
                deploy=deploy,
                platform=platform,
            )
        own = None
        if mesh.about.published_bundle:
            use_key = through_secrets_manager("KeyOfBundles", self.key, "kms:Decrypt")
            own = OwnBundleResources(self, "OwnBundle", mesh=mesh, use_key=use_key, platform=platform)
            own.run_after(*bundles.values())
        served = services_by_identity(mesh)
        for identity, declared in mesh.identities.items():
            home = self.shards.stack_of(identity)
            resources = IdentityResources(
                home,
                f"Identity-{identity}",
                name=identity,
                mesh=mesh,
                served_by=served.get(identity, ()),
                authorities=pki.hierarchies,
                key=key_in(home, self.key),
                deploy=deploy,
            )
            resources.published_after(bundles)
            if own and home is self:  # a shard comes after this stack
                own.run_after(resources)
            if declared.client:
                secrets = [resources.secret, *(bundles[name].secret for name in declared.client.trust)]
                principals = declared.client.principals
                client_role(self, mesh.name, identity, principals=principals, secrets=secrets, key=self.key)

    def _key(self, mesh: Mesh) -> kms.IKey:
        """The key of the secrets. One of yours gets the alias by which functions and operators know it."""
        alias = naming.key_alias(mesh.name)
        if mesh.about.secrets_key:
            yours = kms.Key.from_key_arn(self, "Key", mesh.about.secrets_key)
            kms.Alias(self, "KeyAlias", alias_name=alias, target_key=yours)
            return yours
        made = kms.Key(
            self,
            "Key",
            alias=alias,
            description=f"meshcert {mesh.name}: encrypts the secrets that hold private keys",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        self.export_value(made.key_arn)
        return made

    def _verify_function(self, about: Mesh, platform: Platform, roots: str) -> None:
        """
        The function that reads what proxies read and says what is wrong with it; operators may invoke it.

        It has a role of its own, so that an operator who has secrets verified can have nothing exported or published.
        """
        mesh, rights = about.name, MeshRights.of(about)
        identities = naming.identities_table(mesh)
        function = PythonFunction(
            self,
            "Verify",
            name="verify",
            platform=platform,
            settings=VerifySettings(mesh, identities, roots),
            timeout=Duration.seconds(60),
        )
        rights.attach(
            function.role,
            [
                rights.table("FindIdentity", identities, "dynamodb:GetItem"),
                rights.identity_secrets("ReadSecrets", "secretsmanager:GetSecretValue"),
                through_secrets_manager("DecryptSecrets", self.key, "kms:Decrypt"),
                *rights.authorities("ReadTrustAnchors", "acm-pca:GetCertificateAuthorityCertificate"),
            ],
        )

    def _grant(self, role: iam.Role, about: Mesh) -> None:
        """
        Give the export role its rights; a test compares them with the calls it makes.

        The custom resources wait for the role and so for its policy: the rights are there before they are created, and
        still there while they are deleted.
        """
        mesh, rights = about.name, MeshRights.of(about)
        identities = naming.identities_table(mesh)
        writes_rows = ("dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:GetItem")
        rights.attach(
            role,
            [
                rights.certificates(
                    "ExportCertificates",
                    "acm:DescribeCertificate",
                    "acm:GetCertificate",
                    "acm:ListTagsForCertificate",
                    "acm:ExportCertificate",
                ),
                *rights.authorities("ReadTrustAnchors", "acm-pca:GetCertificateAuthorityCertificate"),
                *rights.authorities_of_yours(
                    "LookAtAuthorities", "acm-pca:DescribeCertificateAuthority", "acm-pca:ListPermissions"
                ),
                rights.secrets(
                    "PublishSecrets",
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:UpdateSecretVersionStage",
                ),
                # The current version may be newer than what ACM gives; then it stays current.
                rights.identity_secrets("CompareSecrets", "secretsmanager:GetSecretValue"),
                # Roots of CAs of yours that are published are not asked of their owners again: they may be gone.
                *_reading_bundles(about, rights),
                through_secrets_manager("EncryptSecrets", self.key, *USES_OF_KEY),
                rights.table("RememberIdentities", identities, *writes_rows),
                rights.table("MarkUnsettled", naming.lifecycle_table(mesh), "dynamodb:UpdateItem"),
                rights.table("PublishRoutes", naming.routes_table(mesh), *writes_rows),
                *_looking_at_lists(about),
                *(issuing_rights(rights, self.key) if about.has_own_keys else ()),
                # A new root is used only after it has stood in the published bundle for long enough.
                *(rights.own_bundle("SeeBundle", "s3:GetObject") if about.about.published_bundle else ()),
            ],
        )


def _reading_bundles(mesh: Mesh, rights: MeshRights) -> Iterator[iam.PolicyStatement]:
    """Read the trust bundles that hold a root of a CA of the user's: certificates, no key."""
    yours = {name for name, hierarchy in mesh.hierarchies.items() if hierarchy.existing}
    held = [name for name in mesh.hierarchies if yours.intersection(mesh.trusted(name))]
    if held:
        yield rights.trust_bundle_secrets("ReadTrustBundles", held, "secretsmanager:GetSecretValue")


def _looking_at_lists(mesh: Mesh) -> Iterator[iam.PolicyStatement]:
    """Look whether revocation lists in buckets of others may be read, before peers are looked up in them."""
    stored = [source for source in named_lists(mesh, mesh.hierarchies) if not source.url]
    if stored:
        buckets = dict.fromkeys(source.bucket for source in stored)
        arns = [f"arn:{Aws.PARTITION}:s3:::{bucket}" for bucket in buckets]
        objects = [f"arn:{Aws.PARTITION}:s3:::{source.bucket}/{source.key}" for source in stored]
        yield iam.PolicyStatement(sid="LookAtLists", actions=["s3:GetObject"], resources=objects)
        yield iam.PolicyStatement(sid="TellMissingLists", actions=["s3:ListBucket"], resources=arns)
