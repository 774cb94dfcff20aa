"""The roles with which ECS starts tasks: one that pulls images and writes logs, and one each that fetches secrets."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, Aws, Stack
from aws_cdk import aws_iam as iam

from meshcert import naming
from meshcert.mesh.applications.fetched_secrets import PARAMETER_STORE, SECRETS_MANAGER, FetchedSecret
from stacks.constructs.images import repositories
from stacks.constructs.rights import ecs_tasks
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constructs import Construct

    from meshcert.mesh import Mesh
    from meshcert.mesh.applications.declared import Application
    from meshcert.mesh.services import DeclaredService

_ACTIONS = {SECRETS_MANAGER: "secretsmanager:GetSecretValue", PARAMETER_STORE: "ssm:GetParameters"}
_SIDS = {SECRETS_MANAGER: "FetchItsSecrets", PARAMETER_STORE: "FetchItsParameters"}


_WRITE = ("logs:CreateLogStream", "logs:PutLogEvents")


def execution_role(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    purpose: str,
    images: Iterable[str],
    log_groups: Iterable[str],
    log_groups_of_yours: Iterable[str],
) -> iam.Role:
    """
    A role for ECS that pulls images and writes logs, and reads no secret.

    The CDK would grant both for each container anew, in policies that grow with the mesh: tasks get this role by
    ``without_policy_updates``.

    Args:
        images: Of applications and agents, as the mesh file names them; Envoy's own is pulled, too.
        log_groups: ARNs of the log groups that a deploy has made for the tasks.
        log_groups_of_yours: Names of those that the mesh file names, or of before; an empty one is left out.
    """
    role = iam.Role(scope, construct_id, role_name=name, assumed_by=ecs_tasks(), description=purpose)
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            resources=repositories(scope, images),
        )
    )
    role.add_to_policy(iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]))
    if made := list(log_groups):
        role.add_to_policy(iam.PolicyStatement(actions=[*_WRITE], resources=made))
    for name_of_yours in filter(None, log_groups_of_yours):
        # A resource for each group: CloudFormation takes the right to the old one away when no old task is left.
        arn = Stack.of(scope).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{name_of_yours}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        digest = sha256(name_of_yours.encode()).hexdigest()
        iam.Policy(
            role,
            f"WritesLogs{digest[:16]}",
            statements=[iam.PolicyStatement(actions=[*_WRITE], resources=[arn])],
            roles=[role],
        )
    accept(role, "AwsSolutions-IAM5[Resource::*]", "ecr:GetAuthorizationToken has no resource.")
    return role


def starting_role(
    scope: Construct, mesh: Mesh, declared: DeclaredService, otherwise: iam.Role, *, log_groups: Iterable[str]
) -> tuple[iam.Role, tuple[iam.Policy, ...]]:
    """
    The role with which ECS starts a service's tasks, and its right to what it fetches for them: exactly that.

    Args:
        scope: The service, by its name.
        otherwise: Of services without secrets.
        log_groups: ARNs of the log groups that a deploy has made for its tasks.
    """
    application = declared.application
    if application is None or not application.secrets:
        return otherwise, ()
    service = scope.node.id
    role = execution_role(
        scope,
        "ExecutionRole",
        name=naming.own_execution_role(mesh.name, Aws.REGION, service),
        purpose=f"meshcert {mesh.name}: starts tasks of {service}",
        images=declared.images,
        log_groups=log_groups,
        log_groups_of_yours=[mesh.logs.existing_name],
    )
    statements = _statements(application)
    # A resource for each set of them: CloudFormation takes the right to the old ones away when no old task is left.
    digest = sha256("".join(sorted((*application.secrets.values(), *application.secret_keys))).encode()).hexdigest()
    return role, (iam.Policy(scope, f"FetchesItsSecrets{digest[:16]}", statements=statements, roles=[role]),)


def _statements(application: Application) -> list[iam.PolicyStatement]:
    found = {FetchedSecret.from_value(text): None for text in application.secrets.values()}
    secrets = [secret for secret in found if secret]
    statements = [
        iam.PolicyStatement(
            sid=_SIDS[service],
            actions=[action],
            resources=sorted({secret.arn for secret in secrets if secret.service == service}),
        )
        for service, action in _ACTIONS.items()
        if any(secret.service == service for secret in secrets)
    ]
    if application.secret_keys:
        via = sorted({f"{secret.service}.{secret.region}.{Aws.URL_SUFFIX}" for secret in secrets})
        statements.append(
            iam.PolicyStatement(
                sid="DecryptThem",
                actions=["kms:Decrypt"],
                resources=sorted(set(application.secret_keys)),
                conditions={"StringEquals": {"kms:ViaService": via}},
            )
        )
    return statements
