"""The workloads: a network, a cluster, and every service of the mesh file behind its Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, CfnOutput, CustomResource, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as servicediscovery
from constructs import Construct

from meshcert import naming
from meshcert.deploying.routes import ROUTES_TYPE
from meshcert.mesh import proxy_settings, route_table
from meshcert.mesh.stacks.logical_ids import address_output, routes_id
from meshcert.mesh.stacks.shards import LOGS_OF_BEFORE
from stacks.constructs.attached.service import AttachedService
from stacks.constructs.certificates.identity import PUBLISHED_WITHIN
from stacks.constructs.containers.execution_roles import execution_role
from stacks.constructs.crossings import discovery_role, open_way
from stacks.constructs.envoy_service import EnvoyService, Surroundings
from stacks.constructs.gateway_balancer import GatewayBalancer, join_target_groups
from stacks.constructs.images import envoy_image, name_envoy_image
from stacks.constructs.network import SERVICES, placement
from stacks.constructs.refused_peers import count_refused_peers
from stacks.constructs.rights import MeshRights
from stacks.constructs.service_groups import ServiceGroups
from stacks.findings import accept
from stacks.shards import ShardStacks, scope_of_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.mesh import Mesh
    from meshcert.mesh.cells.slices import Crossing, RemoteCallers
    from meshcert.proxy import Listener
    from stacks.pki import PkiStack
    from stacks.runtime import Platform

DENIAL_S = 1
"""How long resolvers remember that a service has no healthy task, seconds."""


class ServicesStack(Stack):
    """
    The stack of network, cluster, service discovery, services and the gateways' load balancers.

    Services of shards have a stack each beside it, with everything of theirs but their security groups.

    Args:
        pki: The stack of the CAs, for the names of their revocation lists.
        key: Encrypts the secrets the tasks read.
        crossings: The ways between its services and other cells' networks.
        remote_callers: Who in other cells finds its tasks by a role; None if nobody does.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: Mesh,
        pki: PkiStack,
        key: kms.IKey,
        platform: Platform,
        crossings: Sequence[Crossing] = (),
        remote_callers: RemoteCallers | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"meshcert {mesh.name}: services behind Envoy",
            termination_protection=mesh.about.deletion_protection,
        )
        name = mesh.name
        self.shards = ShardStacks(self, mesh=mesh, holds="services")
        placed = placement(self, mesh)
        groups = ServiceGroups(self, "Groups", mesh=mesh, vpc=placed.vpc)
        task_logs = self._task_logs(mesh) if mesh.logs.makes_shared else None
        yours = self._logs_of_yours(mesh) if mesh.logs.existing else None
        surroundings = Surroundings(
            mesh=mesh,
            authorities=pki.hierarchies,
            cluster=self._cluster(mesh, placed.vpc),
            placed=placed,
            groups=groups,
            namespace=self._namespace(mesh, placed.vpc),
            # Imported by its ARN: a grant on the key itself would edit the other stack's key policy.
            key=kms.Key.from_key_arn(self, "Key", key.key_arn),
            logs_of_yours=yours,
            made_logs=task_logs,
            execution_role=execution_role(
                self,
                "ExecutionRole",
                name=naming.role(name, Aws.REGION, naming.EXECUTION_ROLE),
                purpose=f"meshcert {name}: pulls images and writes logs for the tasks",
                images=[image for declared in mesh.services.values() for image in declared.images],
                log_groups=[task_logs.log_group_arn] if task_logs else _log_groups(mesh),
                log_groups_of_yours=self._written_logs(mesh),
            ),
            envoy=envoy_image(platform),
            platform=platform,
        )
        self._export_to_shards(surroundings)
        homes = {service: self.shards.stack_of(service) for service in mesh.services}
        groups.make_for_shards(service for service, home in homes.items() if home is not self)
        own = {
            service: EnvoyService(homes[service], service, surroundings=surroundings)
            for service, declared in mesh.services.items()
            if not declared.attached
        }
        attached = {
            service: AttachedService(homes[service], service, surroundings=surroundings)
            for service in mesh.services
            if service not in own
        }
        name_envoy_image(self, name, platform, mesh.sidecar_architectures)
        services: dict[str, EnvoyService | AttachedService] = {**own, **attached}
        callees = {declared.virtual_node: services[service] for service, declared in mesh.services.items()}
        for caller in services.values():
            for backend in caller.proxy.backends:
                if backend.name in callees:  # a node that DNS alone knows may run elsewhere
                    _admit(caller, callees[backend.name], backend.port, groups)
        for crossing in crossings:
            open_way(services[crossing.service].group, crossing)
        discovery_role(self, mesh, remote_callers)
        for service, declared in mesh.services.items():
            if routes := _published_routes(homes[service], mesh, service):
                services[service].starts_after(routes)
            if declared.load_balancer and declared.load_balancer.target_groups:
                join_target_groups(own[service], declared.load_balancer, placed)
            elif declared.load_balancer:
                balancer = GatewayBalancer(
                    scope_of_part(homes[service], f"{service}-balancer", mesh),
                    f"{service}-balancer",
                    balancer=declared.load_balancer,
                    placed=placed,
                    target=own[service],
                    protected=mesh.about.deletion_protection,
                )
                CfnOutput(homes[service], address_output(service), value=balancer.dns_name)

    @property
    def availability_zones(self) -> list[str]:
        """The region's first two, which CloudFormation knows: of a known account the CDK would look them up."""
        return [Fn.select(number, Fn.get_azs()) for number in range(2)]

    def _cluster(self, mesh: Mesh, vpc: ec2.IVpc) -> ecs.ICluster:
        """The ECS cluster: yours, or one of the mesh's own."""
        if mesh.cluster.existing:
            return ecs.Cluster.from_cluster_attributes(self, "Cluster", cluster_name=mesh.cluster_name, vpc=vpc)
        cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=mesh.cluster_name,
            vpc=vpc,
            container_insights_v2=(
                ecs.ContainerInsights.ENABLED if mesh.cluster.container_insights else ecs.ContainerInsights.DISABLED
            ),
        )
        if not mesh.cluster.container_insights:
            accept(
                cluster,
                "AwsSolutions-ECS4",
                "Its metrics cost money for each service and nothing of ours reads them: the mesh file switches it on.",
            )
        return cluster

    def _namespace(self, mesh: Mesh, vpc: ec2.IVpc) -> servicediscovery.IPrivateDnsNamespace:
        """
        The Cloud Map namespace: yours, or one of the mesh's own, whose denials last for a second.

        Else the VPC's resolver remembers for minutes that a service had no task yet (aws-app-mesh-roadmap#221).
        """
        if existing := mesh.about.namespace_id:
            return servicediscovery.PrivateDnsNamespace.from_private_dns_namespace_attributes(
                self,
                "Namespace",
                namespace_id=existing,
                # What an ARN names is asked for by it (CreateService, NamespaceId): another account may share it.
                namespace_arn=(
                    existing
                    if mesh.namespace_owner
                    else MeshRights(mesh.name).arn("servicediscovery", f"namespace/{existing}")
                ),
                namespace_name=mesh.namespace,
            )
        namespace = servicediscovery.PrivateDnsNamespace(self, "Namespace", name=mesh.namespace, vpc=vpc)
        zone = namespace.node.default_child
        zone.add_property_override("Properties.DnsProperties.SOA.TTL", DENIAL_S)  # type: ignore[union-attr] # the L1
        return namespace

    def _export_to_shards(self, surroundings: Surroundings) -> None:
        """
        Export whatever a shard's stack may import, whether one does or not; nothing if there is none.

        The CDK would drop an export with its last user, and CloudFormation refuses that while a shard still imports it:
        this stack is deployed first.
        """
        mesh, vpc, task_logs = surroundings.mesh, surroundings.placed.vpc, surroundings.made_logs
        values = [surroundings.execution_role.role_arn]
        if task_logs:
            values += [task_logs.log_group_name, task_logs.log_group_arn]
        if not mesh.cluster.existing:
            values.append(surroundings.cluster.cluster_name)
        if not mesh.about.namespace_id:
            values.append(surroundings.namespace.namespace_id)
        if not mesh.network.existing:
            tasks = vpc.select_subnets(subnet_group_name=SERVICES).subnets
            values += [vpc.vpc_id, *(each.subnet_id for each in (*vpc.public_subnets, *tasks))]
        for value in values if mesh.shards else ():
            self.export_value(value)

    def _task_logs(self, mesh: Mesh) -> logs.LogGroup:
        """The log group of all tasks, with one filter: of its own, each service would take two resources more."""
        group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=naming.tasks_log_group(mesh.name),
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        count_refused_peers(self, group, _listeners(mesh))
        return group

    def _written_logs(self, mesh: Mesh) -> list[str]:
        """Names of log groups of yours that tasks write to: that of the mesh file, and those of shards of before."""
        before = str(self.node.try_get_context(LOGS_OF_BEFORE) or "").split(",")
        return list(dict.fromkeys([mesh.logs.existing_name, *before]))

    def _logs_of_yours(self, mesh: Mesh) -> logs.ILogGroup:
        """
        The log group that the mesh file names, which gets a filter.

        The filter stands beside that of a group of the mesh's own, which counts what tasks of before still write.
        """
        yours = Construct(self, "LogsOfYours")
        group = logs.LogGroup.from_log_group_name(yours, "Group", mesh.logs.existing_name)
        count_refused_peers(yours, group, _listeners(mesh), mesh=mesh.name)
        return group


def _listeners(mesh: Mesh) -> list[Listener]:
    """Those of all proxies."""
    proxies = (proxy_settings(mesh, service) for service in mesh.services)
    return [listener for proxy in proxies for listener in proxy.listeners]


def _published_routes(stack: Stack, mesh: Mesh, service: str) -> CustomResource | None:
    """
    The custom resource that is complete once the deploy function has written a proxy's route table; None without.

    It stands outside the task definition, so other routes alone replace no task; a deploy that fails takes them
    back with everything else.
    """
    table = route_table(mesh, service)
    if table is None:
        return None
    construct_id = routes_id(service)
    return CustomResource(
        scope_of_part(stack, construct_id, mesh),
        construct_id,
        resource_type=ROUTES_TYPE,
        service_token=MeshRights(mesh.name).deploy_function_arn,
        service_timeout=PUBLISHED_WITHIN,
        properties={
            "Mesh": mesh.name,
            "Service": service,
            "Version": table.version,
            "Document": table.packed(),
        },
    )


def _log_groups(mesh: Mesh) -> list[str]:
    """ARNs of the services' own log groups, with what follows a group's name in rights to its streams."""
    services = mesh.services if mesh.logs.makes_each else ()
    return [MeshRights(mesh.name).arn("logs", f"log-group:{naming.log_group(mesh.name, each)}:*") for each in services]


def _admit(
    caller: EnvoyService | AttachedService, callee: EnvoyService | AttachedService, port: int, groups: ServiceGroups
) -> None:
    """Let one service's Envoy connect to a port of another's, by rules in the other's stack."""
    for group in groups.callers_of(callee.node.id, caller.node.id, Stack.of(callee)):
        callee.group.add_ingress_rule(group, ec2.Port.tcp(port), "A caller in the mesh")
    calling = groups.of(caller.node.id, Stack.of(callee))
    if not calling.allow_all_outbound:
        calling.add_egress_rule(callee.group, ec2.Port.tcp(port), "A backend in the mesh")
