"""A service of the user's in the mesh: what belongs to the mesh, and neither task definition nor ECS service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, CustomResource, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as servicediscovery
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from meshcert import naming
from meshcert.deploying.settings import SETTINGS_TYPE
from meshcert.mesh import proxy_settings, settings_document
from stacks.constructs.certificates.identity import PUBLISHED_WITHIN
from stacks.constructs.containers.policy_length import require_room
from stacks.constructs.containers.registration import name_namespace_once
from stacks.constructs.containers.task_rights import WHY_ANY_RESOURCE, task_rights
from stacks.constructs.envoy_service import DNS_TTL
from stacks.constructs.refused_peers import count_refused_peers
from stacks.constructs.rights import MeshRights
from stacks.findings import accept

if TYPE_CHECKING:
    from constructs import IDependable

    from stacks.constructs.envoy_service import Surroundings


class AttachedService(Construct):
    """
    The mesh's part of an ECS service, or of a job, that the user keeps.

    It makes a managed policy for the user's task role, a log group if services have their own, the Cloud Map service
    unless that is the user's or it is a job, and the row that the proxy reads its settings from. Rules are added to the
    security group that the mesh file names.

    Args:
        scope: The stack.
        construct_id: Name of the service in the mesh file.
        surroundings: Everything that it has in common with the others.

    Raises:
        LookupError: If the service is not attached.
        MeshInvalid: If the policy would be longer than AWS takes it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, surroundings: Surroundings) -> None:
        super().__init__(scope, construct_id)
        mesh = surroundings.mesh
        attached = mesh.services[construct_id].attached
        if attached is None:
            raise LookupError(construct_id)
        self.proxy = proxy_settings(mesh, construct_id)
        self.group = surroundings.groups.of(construct_id, Stack.of(self))
        if mesh.logs.makes_each:
            log_group = logs.LogGroup(
                self,
                "Logs",
                log_group_name=naming.log_group(mesh.name, construct_id),
                retention=logs.RetentionDays.ONE_MONTH,
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            )
            count_refused_peers(self, log_group, self.proxy.listeners)
        policy = iam.ManagedPolicy(
            self,
            "TaskPolicy",
            managed_policy_name=naming.role(mesh.name, Aws.REGION, construct_id),
            description=f"meshcert {mesh.name}: what the sidecar of {construct_id} may do; for its task role",
            statements=task_rights(
                mesh,
                construct_id,
                self.proxy,
                authorities=surroundings.authorities,
                key_arn=surroundings.key.key_arn,
            ),
        )
        require_room(self, construct_id, policy.document)
        if None in self.proxy.discovered_in:
            accept(policy, "AwsSolutions-IAM5[Resource::*]", WHY_ANY_RESOURCE)
        if not attached.job and not attached.cloud_map_service:
            registry = servicediscovery.Service(
                self,
                "CloudMap",
                namespace=surroundings.namespace,
                name=construct_id,
                dns_record_type=servicediscovery.DnsRecordType.A,
                dns_ttl=DNS_TTL,
                custom_health_check=servicediscovery.HealthCheckCustomConfig(failure_threshold=1),
            )
            name_namespace_once(registry)
            ssm.StringParameter(
                self,
                "Registry",
                parameter_name=naming.sidecar_registry(mesh.name, construct_id),
                string_value=registry.service_arn,
            )
        document, version = settings_document(mesh, construct_id)
        self._settings = CustomResource(
            self,
            "Settings",
            resource_type=SETTINGS_TYPE,
            service_token=MeshRights(mesh.name).deploy_function_arn,
            service_timeout=PUBLISHED_WITHIN,
            properties={
                "Mesh": mesh.name,
                "Service": construct_id,
                "Version": version,
                "Document": document,
                "Identities": list(self.proxy.identities),
            },
        )
        # Whoever reads the new settings may need what the policy lets them read.
        self._settings.node.add_dependency(policy)

    def starts_after(self, published: IDependable) -> None:
        """Have its tasks get their settings when this is there: they read it at their start."""
        self._settings.node.add_dependency(published)
