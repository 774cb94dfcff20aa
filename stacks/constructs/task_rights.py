"""What the tasks of one service may do: read their own identity, routes and their peers' roots, and acknowledge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Aws, Fn
from aws_cdk import aws_iam as iam

from meshcert import naming
from meshcert.contract.route_rows import SETTINGS_PREFIX
from meshcert.mesh import proxy_settings, route_table
from stacks.constructs.certificates.revocation_bucket import bucket_name
from stacks.constructs.rights import MeshRights
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_cdk import aws_kms as kms

    from meshcert.mesh import Mesh
    from meshcert.proxy import ProxySettings
    from stacks.constructs.certificates.hierarchy import SigningAuthorities


@dataclass(frozen=True)
class TaskRights:
    """
    The rights of one service's tasks.

    Args:
        authorities: The CAs of every hierarchy.
        key: Encrypts the secrets they read.
        service: Name of the service in the mesh file.
    """

    mesh: Mesh
    authorities: Mapping[str, SigningAuthorities]
    key: kms.IKey
    service: str

    def give(self, holder: iam.Role | iam.ManagedPolicy) -> None:
        """Give them to a role, or to a policy that roles of the user's get."""
        for statement in self._statements(proxy_settings(self.mesh, self.service)):
            if isinstance(holder, iam.Role):
                holder.add_to_policy(statement)
            else:
                holder.add_statements(statement)
            if "*" in statement.resources:
                accept(
                    holder,
                    "AwsSolutions-IAM5[Resource::*]",
                    "Discovering instances has no resource; the conditions limit it to the backends that the mesh "
                    "declares.",
                )

    def _statements(self, proxy: ProxySettings) -> Iterator[iam.PolicyStatement]:
        mesh, rights = self.mesh.name, MeshRights(self.mesh.name)
        if services := sorted(backend.cloud_map_service for backend in proxy.discovered):
            yield _discovery(proxy, services)
        if route_table(self.mesh, self.service):
            yield rights.own_rows("ReadItsRoutes", naming.routes_table(mesh), self.service, "dynamodb:GetItem")
        if self.mesh.services[self.service].attached:
            row = f"{SETTINGS_PREFIX}{self.service}"
            yield rights.own_rows("ReadItsSettings", naming.routes_table(mesh), row, "dynamodb:GetItem")
        acknowledgements = naming.acknowledgements_table(mesh)
        acknowledge = rights.own_rows("Acknowledge", acknowledgements, self.service, "dynamodb:PutItem")
        if not proxy.secret_references:
            if proxy.certificate_files or proxy.trust_files:
                yield acknowledge
            return
        # Secrets Manager appends six characters to a name. A wider wildcard would match other secrets too.
        secrets = [
            f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret:{reference.secret}-??????"
            for reference in proxy.secret_references
        ]
        yield iam.PolicyStatement(
            sid="ReadItsSecrets",
            actions=["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
            resources=secrets,
        )
        # Written out, because the CDK's grant on another stack's key adds nothing to that key's policy.
        yield iam.PolicyStatement(
            sid="DecryptItsSecrets",
            actions=["kms:Decrypt"],
            resources=[self.key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{Aws.REGION}.{Aws.URL_SUFFIX}"}},
        )
        if lists := self._revocation_lists(proxy):
            yield iam.PolicyStatement(sid="ReadRevocationLists", actions=["s3:GetObject"], resources=lists)
        yield acknowledge

    def _revocation_lists(self, proxy: ProxySettings) -> list[str]:
        """ARNs of the revocation lists of every CA that may have issued a peer's certificate."""
        listed = dict.fromkeys(name for bundle in proxy.trust_bundles for name in self.mesh.listed(bundle))
        return [
            f"arn:{Aws.PARTITION}:s3:::{bucket_name(self.mesh.name)}/"
            + naming.revocation_list(Fn.select(1, Fn.split("/", arn)))
            for name in listed
            for arn in self.authorities[name].arns
        ]


def _discovery(proxy: ProxySettings, services: list[str]) -> iam.PolicyStatement:
    """To find the tasks of its backends by Cloud Map's data API, and no other service's."""
    names = {
        "servicediscovery:NamespaceName": proxy.cloud_map_namespace,
        "servicediscovery:ServiceName": services,
    }
    return iam.PolicyStatement(
        sid="FindItsBackends",
        actions=["servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"],
        resources=["*"],
        conditions={"StringEquals": names},
    )
