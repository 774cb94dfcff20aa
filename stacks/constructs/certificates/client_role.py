"""The role of a client outside the mesh: it reads the secret of one identity, and roots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from meshcert import naming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_secretsmanager as secretsmanager

    from meshcert.mesh import Mesh
    from meshcert.mesh.issuance import DeclaredClient

LONGEST_SESSION = Duration.hours(1)
"""After it, an SDK assumes the role anew; who may no longer does not."""


class ClientRole(Construct):
    """
    A role that principals of the mesh file may assume, in this account or another.

    Args:
        identity: Its name.
        secret: Holds its material.
        bundles: The secrets with the roots of hierarchies, by hierarchy.
        key: Encrypts them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: Mesh,
        identity: str,
        client: DeclaredClient,
        secret: secretsmanager.ISecret,
        bundles: Mapping[str, secretsmanager.ISecret],
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(
            self,
            "Role",
            role_name=naming.client_role(mesh.name, Aws.REGION, identity),
            assumed_by=iam.CompositePrincipal(*map(iam.ArnPrincipal, client.principals)),
            description=f"meshcert {mesh.name}: a client outside the mesh fetches {identity}",
            max_session_duration=LONGEST_SESSION,
        )
        read = [secret, *(bundles[hierarchy] for hierarchy in client.trust)]
        role.add_to_policy(
            iam.PolicyStatement(
                sid="ReadItsSecrets",
                actions=["secretsmanager:GetSecretValue"],
                # As a whole, with the six characters at the end: CloudFormation knows them.
                resources=[each.secret_arn for each in read],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="DecryptThem",
                actions=["kms:Decrypt"],
                resources=[key.key_arn],
                conditions={
                    "StringEquals": {
                        "kms:ViaService": f"secretsmanager.{Aws.REGION}.{Aws.URL_SUFFIX}",
                        "kms:EncryptionContext:SecretARN": [each.secret_arn for each in read],
                    }
                },
            )
        )
