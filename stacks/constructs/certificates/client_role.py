"""The role of a client outside the mesh: it reads the secret of one identity, and roots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_iam as iam

from meshcert import naming
from stacks.constructs.rights import VIA_SECRETS_MANAGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct

LONGEST_SESSION = Duration.hours(1)
"""After it, an SDK assumes the role anew; who may no longer does not."""


def client_role(
    scope: Construct,
    mesh: str,
    identity: str,
    *,
    principals: Iterable[str],
    secrets: Sequence[secretsmanager.ISecret],
    key: kms.IKey,
) -> iam.Role:
    """
    A role that principals may assume, of this account or another, to read these secrets and nothing else.

    Args:
        identity: Its name.
        secrets: That with its material, and those with roots.
        key: Encrypts them.
    """
    role = iam.Role(
        scope,
        f"Client-{identity}",
        role_name=naming.client_role(mesh, Aws.REGION, identity),
        assumed_by=iam.CompositePrincipal(*map(iam.ArnPrincipal, principals)),
        description=f"meshcert {mesh}: a client outside the mesh fetches {identity}",
        max_session_duration=LONGEST_SESSION,
    )
    # As a whole, with the six characters at the end: CloudFormation knows them.
    arns = [secret.secret_arn for secret in secrets]
    role.add_to_policy(
        iam.PolicyStatement(sid="ReadItsSecrets", actions=["secretsmanager:GetSecretValue"], resources=arns)
    )
    limits = {
        **VIA_SECRETS_MANAGER,
        "kms:EncryptionContext:SecretARN": arns,
    }
    role.add_to_policy(
        iam.PolicyStatement(
            sid="DecryptThem", actions=["kms:Decrypt"], resources=[key.key_arn], conditions={"StringEquals": limits}
        )
    )
    return role
