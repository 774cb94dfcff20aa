"""One service of the mesh: its Envoy, its application, and the rights of its identity, no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration, RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as servicediscovery
from constructs import Construct

from meshcert import naming
from meshcert.mesh import proxy_settings, task_settings
from meshcert.mesh.applications.declared import HTTPS
from meshcert.mesh.existing import named_lists
from meshcert.mesh.rendering.containers import LONGEST_START_PERIOD_S
from meshcert.mesh.stacks.shards import shards_of
from stacks.constructs.containers.execution_roles import starting_role
from stacks.constructs.containers.policy_length import require_room_in_role
from stacks.constructs.containers.proxy_environment import ProxyEnvironment
from stacks.constructs.containers.registration import name_namespace_once
from stacks.constructs.containers.task import TaskContainers
from stacks.constructs.containers.task_rights import RIGHTS, WHY_ANY_RESOURCE, task_rights
from stacks.constructs.containers.volumes import reach_file_systems
from stacks.constructs.refused_peers import count_refused_peers
from stacks.constructs.rights import MeshRights, ecs_tasks
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms
    from constructs import IDependable

    from meshcert.mesh import Mesh
    from meshcert.mesh.applications.declared import EgressRule
    from meshcert.mesh.part import OutsideClients
    from stacks.constructs.certificates.hierarchy import SigningAuthorities
    from stacks.constructs.network import NetworkPlacement
    from stacks.constructs.service_groups import ServiceGroups
    from stacks.runtime import Platform

DNS_TTL = Duration.seconds(5)
TAGGED = ["AWS::ECS::Service", "AWS::Logs::LogGroup", "AWS::EC2::SecurityGroup", "AWS::IAM::Role"]
"""What gets the user's tags. Tasks have them of their service, without another task definition."""


@dataclass(frozen=True)
class Surroundings:
    """
    Everything that the services of a mesh have in common.

    Args:
        authorities: The CAs of every hierarchy.
        placed: The network they run in.
        groups: Their security groups.
        namespace: The Cloud Map namespace they are registered in.
        key: Encrypts the secrets they read.
        logs_of_yours: Where all tasks write, if the mesh file names it.
        made_logs: The log group of the mesh's own where all tasks write, or those of before; None if there is none.
        execution_role: Pulls images and writes logs, for every service that has no secrets fetched.
        envoy: The Envoy image.
        platform: Decides the processor architecture.
    """

    mesh: Mesh
    authorities: Mapping[str, SigningAuthorities]
    cluster: ecs.ICluster
    placed: NetworkPlacement
    groups: ServiceGroups
    namespace: servicediscovery.INamespace
    key: kms.IKey
    logs_of_yours: logs.ILogGroup | None
    made_logs: logs.ILogGroup | None
    execution_role: iam.Role
    envoy: ecs.ContainerImage
    platform: Platform


class EnvoyService(Construct):
    """
    A Fargate service whose tasks are an Envoy and, for a virtual node, the application beside it.

    Args:
        scope: The stack.
        construct_id: Name of the service in the mesh file.
        surroundings: Everything that it has in common with the others.

    Raises:
        MeshInvalid: If the policies of its tasks' role would be longer than AWS takes them.
    """

    def __init__(self, scope: Construct, construct_id: str, *, surroundings: Surroundings) -> None:
        super().__init__(scope, construct_id)
        mesh = surroundings.mesh
        self._name = construct_id
        self._surroundings = surroundings
        self._declared = mesh.services[construct_id]
        self.proxy = proxy_settings(mesh, construct_id)
        made = self._log_group() if mesh.logs.makes_each else surroundings.made_logs
        log_group = next(filter(None, (surroundings.logs_of_yours, made)))
        role = self._task_role()
        settings = ProxyEnvironment(self, task_settings(mesh, construct_id), role)
        execution_role, fetching = starting_role(
            self,
            mesh,
            self._declared,
            surroundings.execution_role,
            log_groups=self._made_groups(made),
        )
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            family=f"meshcert-{mesh.name}-{construct_id}",
            cpu=self._declared.cpu,
            memory_limit_mib=self._declared.memory_mib,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=surroundings.platform.ecs_architecture,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            task_role=role,
            execution_role=execution_role.without_policy_updates(),
        )
        TaskContainers(
            self,
            task,
            surroundings.envoy,
            surroundings.platform,
            log_group,
            stream_prefix="" if mesh.logs.are_apart else construct_id,
            drain_s=self._declared.drain_s,
        ).add(settings, self._declared)
        require_room_in_role(role, construct_id, settings.rights)
        if not shards_of(mesh.shards, construct_id):
            surroundings.groups.make(self, "Group", construct_id)
        self.group = surroundings.groups.of(construct_id, Stack.of(self))
        self._narrow_egress()
        self._admit_outside_clients()
        self.service = ecs.FargateService(
            self,
            "Service",
            service_name=construct_id,
            cluster=surroundings.cluster,
            task_definition=task,
            # Left out, a new service has one task, and an update keeps what there is (AWS::ECS::Service, DesiredCount).
            desired_count=None if self._declared.scaler else self._declared.desired_count,
            assign_public_ip=surroundings.placed.public_addresses,
            vpc_subnets=surroundings.placed.tasks,
            security_groups=[self.group, *surroundings.groups.shared_by(construct_id, Stack.of(self))],
            min_healthy_percent=self._declared.minimum_healthy_percent,
            max_healthy_percent=self._declared.maximum_percent,
            # No rollback by ECS: its tasks would read the same secret version again (the label must move first).
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=False),
            cloud_map_options=ecs.CloudMapOptions(
                name=construct_id,
                cloud_map_namespace=surroundings.namespace,
                dns_record_type=servicediscovery.DnsRecordType.A,
                dns_ttl=DNS_TTL,
            ),
            health_check_grace_period=self._grace_period(),
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        if self.service.cloud_map_service:
            name_namespace_once(self.service.cloud_map_service)
        for key, value in self._declared.tags.items():
            Tags.of(self).add(key, value, include_resource_types=TAGGED)
        for identity in self.proxy.identities:
            # An ECS event names the service alone: its tags say whose certificates it is about.
            Tags.of(self.service).add(
                f"{naming.IDENTITY_TAG_PREFIX}{identity}", "", include_resource_types=["AWS::ECS::Service"]
            )

        # Tasks that start before they can reach AWS's APIs, or may pull images, would trip the circuit breaker.
        self.service.node.add_dependency(*surroundings.placed.reachable, execution_role, *settings.rights, *fetching)

    @property
    def _egress(self) -> tuple[EgressRule, ...] | None:
        """Where the application calls; None leaves it open."""
        return self._declared.application.egress if self._declared.application else None

    def _narrow_egress(self) -> None:
        """
        Let the tasks connect to AWS's APIs, and to what the mesh file names.

        The APIs are anywhere on port 443: the ids of the prefix lists of S3 and DynamoDB are the region's, and no
        template can ask for them. Where egress is by endpoints, no route leads to anything else outside. Amazon's DNS
        and the task metadata need no rule: security groups do not filter them (Amazon VPC guide, "Security group
        rules").
        """
        if self._egress is None:
            return
        self.group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "AWS's APIs")
        for number in self._ports_of_lists():
            self.group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(number), "Revocation lists")
        reach_file_systems(self.group, self._surroundings.placed.cidrs, self._declared)
        for rule in self._egress:
            for number in rule.ports:
                port = ec2.Port.tcp(number) if rule.protocol == "tcp" else ec2.Port.udp(number)
                self.group.add_egress_rule(peer(rule), port, "The mesh file's")

    def _ports_of_lists(self) -> list[int]:
        """The ports of web servers with the revocation lists that its peers are looked up in."""
        mesh = self._surroundings.mesh
        listed = [name for bundle in self.proxy.trust_bundles for name in mesh.listed(bundle)]
        hosts = (source.url.partition("://")[2].partition("/")[0] for source in named_lists(mesh, listed) if source.url)
        return sorted({int(host.partition(":")[2] or 80) for host in hosts})

    def _admit_outside_clients(self) -> None:
        """Let in whom the mesh file names beside the callers: clients in plain text, for a while, and scrapers."""
        mesh = self._surroundings.mesh
        node = mesh.virtual_nodes.get(self._declared.virtual_node)
        for listener in node.listeners if node else ():
            for clients in listener.permissive_from:
                self._admit_outside(clients, listener.port_mapping.port, "Plain text, for a while")
        for clients in mesh.metrics.scrapers if mesh.metrics else ():
            self._admit_outside(clients, self.proxy.metrics_port, "Metrics")

    def _admit_outside(self, clients: OutsideClients, port: int, why: str) -> None:
        self.group.add_ingress_rule(peer(clients), ec2.Port.tcp(port), why)

    def starts_after(self, published: IDependable) -> None:
        """Have its tasks start when this is there: they read it at their start."""
        self.service.node.add_dependency(published)

    def _grace_period(self) -> Duration | None:
        """How long ECS ignores failed health checks of a task, if its containers' own start period cannot say it."""
        application = self._declared.application
        grace_s = application.health_check.grace_period_s if application else 0
        return Duration.seconds(grace_s) if grace_s > LONGEST_START_PERIOD_S else None

    def _made_groups(self, made: logs.ILogGroup | None) -> list[str]:
        """ARNs of the log groups that a deploy has made for its tasks."""
        if made is None:
            return []
        mesh = self._surroundings.mesh
        if mesh.shards and mesh.logs.existing:
            # By its name: a shard that imported its ARN would hold it in the deploy that takes it away.
            return [MeshRights(mesh.name).arn("logs", f"log-group:{naming.tasks_log_group(mesh.name)}:*")]
        return [made.log_group_arn]

    def _task_role(self) -> iam.Role:
        """A role that reads its own identity, routes and its peers' trust bundles, and writes its acknowledgements."""
        around = self._surroundings
        mesh = around.mesh.name
        rights = task_rights(
            around.mesh, self._name, self.proxy, authorities=around.authorities, key_arn=around.key.key_arn
        )
        role = iam.Role(
            self,
            "TaskRole",
            role_name=naming.role(mesh, Aws.REGION, self._name),
            assumed_by=ecs_tasks(),
            description=f"meshcert {mesh}: tasks of {self._name}",
            inline_policies={RIGHTS: iam.PolicyDocument(statements=rights)} if rights else None,
        )
        if None in self.proxy.discovered_in:
            accept(role, "AwsSolutions-IAM5[Resource::*]", WHY_ANY_RESOURCE)
        return role

    def _log_group(self) -> logs.LogGroup:
        """A group of the service's own; it stays when the mesh goes over to one for all, since it holds a month."""
        group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=naming.log_group(self._surroundings.mesh.name, self._name),
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        count_refused_peers(self, group, self.proxy.listeners)
        return group


def peer(hosts: EgressRule | OutsideClients) -> ec2.IPeer:
    """The hosts of a rule of the mesh file."""
    if prefix_list := getattr(hosts, "prefix_list", ""):
        return ec2.Peer.prefix_list(prefix_list)
    if hosts.security_group:
        return ec2.Peer.security_group_id(hosts.security_group)
    return ec2.Peer.ipv4(hosts.cidr)
