"""What the tasks of one service may do: read their own material and their peers' roots, and say what they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Fn
from aws_cdk import aws_iam as iam

from meshcert import naming
from meshcert.contract.route_rows import SETTINGS_PREFIX
from meshcert.mesh import route_table
from meshcert.mesh.existing import named_lists
from stacks.constructs.certificates.revocation_bucket import bucket_name
from stacks.constructs.rights import VIA_SECRETS_MANAGER, MeshRights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshcert.mesh import Mesh
    from meshcert.proxy import ProxySettings
    from stacks.constructs.certificates.hierarchy import SigningAuthorities

RIGHTS = "rights"
"""
Name of a task role's inline policy.

Before, the rights were a resource of their own, whose policy had another name. That is why an upgrade loses none:
CloudFormation gives the role this policy first, and takes the other one away when everything else is done. Under one
name the second step would have taken away what the first one gave.
"""
DISCOVERING = ("servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision")
WHY_ANY_RESOURCE = (
    "Discovering instances has no resource; the conditions limit it to the backends that the mesh declares."
)


def task_rights(
    mesh: Mesh,
    service: str,
    proxy: ProxySettings,
    *,
    authorities: Mapping[str, SigningAuthorities],
    key_arn: str,
) -> list[iam.PolicyStatement]:
    """
    The statements for the role of a service's tasks.

    Args:
        proxy: The settings of its proxy, from which every right follows.
        authorities: The CAs of every hierarchy, for the names of their revocation lists.
        key_arn: Of the key that encrypts the secrets.
    """
    rights = MeshRights(mesh.name)
    acknowledge = rights.own_rows("Acknowledge", naming.acknowledgements_table(mesh.name), service, "dynamodb:PutItem")
    statements = [*_discovery(proxy)]
    if route_table(mesh, service):
        statements.append(rights.own_rows("ReadItsRoutes", naming.routes_table(mesh.name), service, "dynamodb:GetItem"))
    if mesh.services[service].attached:
        row = f"{SETTINGS_PREFIX}{service}"
        statements.append(rights.own_rows("ReadItsSettings", naming.routes_table(mesh.name), row, "dynamodb:GetItem"))
    if proxy.secret_references:
        statements += [
            *_reading_secrets(mesh.name, proxy, key_arn),
            *_reading_lists(mesh, proxy, authorities),
            acknowledge,
        ]
    elif proxy.certificate_files or proxy.trust_files:
        statements.append(acknowledge)
    return statements


def discovering(sid: str, namespace: str, services: Iterable[str]) -> iam.PolicyStatement:
    """
    A statement to find the tasks of Cloud Map services by the data API, and those of no other service.

    Args:
        namespace: HTTP name of their namespace.
    """
    return iam.PolicyStatement(
        sid=sid,
        actions=list(DISCOVERING),
        resources=["*"],
        conditions={
            "StringEquals": {
                "servicediscovery:NamespaceName": namespace,
                "servicediscovery:ServiceName": sorted(services),
            }
        },
    )


def _discovery(proxy: ProxySettings) -> Iterator[iam.PolicyStatement]:
    """Find the tasks of its backends: in its own namespace, and by the roles of other cells."""
    if own := proxy.discovered_in.get(None):
        services = (backend.cloud_map_service for backend in own)
        yield discovering("FindItsBackends", proxy.cloud_map_namespace, services)
    if roles := [where.role for where in proxy.discovered_in if where]:
        yield iam.PolicyStatement(sid="FindBackendsOfOtherCells", actions=["sts:AssumeRole"], resources=roles)


def _reading_secrets(mesh: str, proxy: ProxySettings, key_arn: str) -> Iterator[iam.PolicyStatement]:
    def arns(names: Iterable[str]) -> list[str]:
        return [f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret:{name}" for name in names]

    # Secrets Manager appends six characters to a name. A wider wildcard would match other secrets too.
    yield iam.PolicyStatement(
        sid="ReadItsSecrets",
        actions=["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
        resources=arns(f"{reference.secret}-??????" for reference in proxy.secret_references),
    )
    # A policy of the user's may let the role read every secret of the account: the key opens it no other identity's.
    opened = [f"{reference.secret}-??????" for reference in proxy.identities.values()]
    # Roots are public, and there may be many: a second list of them would fill the role.
    opened += [naming.trust_bundle_secret(mesh, "*")] if proxy.trust_bundles else []
    opened += [naming.foreign_bundle_secret(mesh, "*")] if proxy.foreign_bundles else []
    # Written out, because the CDK's grant on another stack's key adds nothing to that key's policy.
    yield iam.PolicyStatement(
        sid="DecryptItsSecrets",
        actions=["kms:Decrypt"],
        resources=[key_arn],
        conditions={
            "StringEquals": VIA_SECRETS_MANAGER,
            "StringLike": {"kms:EncryptionContext:SecretARN": arns(opened)},
        },
    )


def _reading_lists(
    mesh: Mesh, proxy: ProxySettings, authorities: Mapping[str, SigningAuthorities]
) -> Iterator[iam.PolicyStatement]:
    """Read the revocation lists of every CA that may have issued a peer's certificate."""
    listed = dict.fromkeys(name for bundle in proxy.trust_bundles for name in mesh.listed(bundle))
    lists = [
        f"arn:{Aws.PARTITION}:s3:::{bucket_name(mesh.name)}/" + naming.revocation_list(Fn.select(1, Fn.split("/", arn)))
        for name in listed
        if mesh.hierarchies[name].made
        for arn in authorities[name].arns
    ]
    lists += [
        f"arn:{Aws.PARTITION}:s3:::{source.bucket}/{source.key}"
        for source in named_lists(mesh, listed)
        if not source.url
    ]
    if lists:
        yield iam.PolicyStatement(sid="ReadRevocationLists", actions=["s3:GetObject"], resources=lists)
