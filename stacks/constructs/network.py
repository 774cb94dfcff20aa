"""The network the services run in: made for the mesh, or a VPC of yours that nothing here changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_ec2 as ec2

from meshcert.mesh.cells.placing import assumes_roles
from meshcert.mesh.network import Egress, NatGateways
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct, IDependable

    from meshcert.mesh import Mesh
    from meshcert.mesh.network import ExistingNetwork, Network

SERVICES = "Services"
"""Name of the subnets the tasks run in."""

# Free of charge, unlike interface endpoints (Amazon VPC guide, "Gateway endpoints"): also beside a NAT gateway, which
# takes money for every byte, and every image layer comes from S3.
GATEWAYS = {
    "Layers": ec2.GatewayVpcEndpointAwsService.S3,
    "Tables": ec2.GatewayVpcEndpointAwsService.DYNAMODB,
}
ENDPOINTS = {
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Registry": ec2.InterfaceVpcEndpointAwsService.ECR,
    "Images": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Secrets": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Discovery": ec2.InterfaceVpcEndpointAwsService.CLOUD_MAP_DATA_SERVICE_DISCOVERY,
}


@dataclass(frozen=True)
class NetworkPlacement:
    """
    Where tasks and load balancers are placed.

    Args:
        vpc: The VPC.
        cidrs: Its address ranges.
        tasks: The subnets of tasks.
        balancers: The subnets of load balancers; None leaves the choice to the CDK.
        public_addresses: Tasks get public addresses.
        reachable: What has to stand before a task reaches AWS's APIs.
    """

    vpc: ec2.IVpc
    cidrs: tuple[str, ...]
    tasks: ec2.SubnetSelection
    balancers: ec2.SubnetSelection | None
    public_addresses: bool
    reachable: tuple[IDependable, ...]


PARAMETERS = {"Parameters": ec2.InterfaceVpcEndpointAwsService.SSM}
"""The endpoint besides, if ECS fetches parameters of Systems Manager for applications."""
ROLES = {"Roles": ec2.InterfaceVpcEndpointAwsService.STS}
"""The endpoint besides, if tasks find backends by the role of another cell."""


def placement(scope: Construct, mesh: Mesh) -> NetworkPlacement:
    """The mesh's own network, made here, or the existing one that the mesh file names."""
    network = mesh.network
    if network.existing:
        return _existing(scope, network.existing)
    besides = (PARAMETERS if mesh.fetches_parameters else {}) | (ROLES if assumes_roles(mesh) else {})
    return _own(scope, network, ENDPOINTS | besides)


def _own(
    scope: Construct, network: Network, interfaces: Mapping[str, ec2.InterfaceVpcEndpointAwsService]
) -> NetworkPlacement:
    through_nat = network.egress is Egress.NAT
    private = ec2.SubnetType.PRIVATE_WITH_EGRESS if through_nat else ec2.SubnetType.PRIVATE_ISOLATED
    vpc = ec2.Vpc(
        scope,
        "Network",
        ip_addresses=ec2.IpAddresses.cidr(network.cidr),
        **_zones(network),
        **_nat_gateways(network),
        subnet_configuration=[
            ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False),
            ec2.SubnetConfiguration(name=SERVICES, subnet_type=private),
        ],
    )
    endpoints: list[ec2.IVpcEndpoint] = [
        vpc.add_gateway_endpoint(name, service=service) for name, service in GATEWAYS.items()
    ]
    if not through_nat:
        endpoints += [vpc.add_interface_endpoint(name, service=service) for name, service in interfaces.items()]
    accept(
        vpc,
        "AwsSolutions-VPC7",
        "Flow logs are an account-wide choice with a price of their own; they hold nothing meshcert needs.",
    )
    tasks = ec2.SubnetSelection(subnet_group_name=SERVICES)
    subnets = vpc.select_subnets(subnet_group_name=SERVICES).subnets
    ways = (subnet.internet_connectivity_established for subnet in subnets)
    return NetworkPlacement(vpc, network.cidrs, tasks, None, public_addresses=False, reachable=(*ways, *endpoints))


def _existing(scope: Construct, existing: ExistingNetwork) -> NetworkPlacement:
    vpc = ec2.Vpc.from_vpc_attributes(
        scope,
        "Network",
        vpc_id=existing.vpc,
        vpc_cidr_block=existing.cidrs[0],
        availability_zones=list(existing.subnets),
    )
    tasks = _subnets(scope, "Tasks", existing.subnets)
    apart = existing.load_balancer_subnets
    balancers = _subnets(scope, "Balancers", apart) if apart else tasks
    return NetworkPlacement(vpc, existing.cidrs, tasks, balancers, existing.public_addresses, reachable=())


def _subnets(scope: Construct, what: str, by_zone: Mapping[str, str]) -> ec2.SubnetSelection:
    return ec2.SubnetSelection(
        subnets=[
            ec2.Subnet.from_subnet_attributes(scope, f"{what}-{zone}", subnet_id=subnet, availability_zone=zone)
            for zone, subnet in by_zone.items()
        ]
    )


def _zones(network: Network) -> dict[str, Any]:
    """The zones that the mesh file names, or the region's first two."""
    if network.availability_zones:
        return {"availability_zones": list(network.availability_zones)}
    return {"max_azs": 2}


def _nat_gateways(network: Network) -> dict[str, Any]:
    """None, one, or one in each zone, which is the CDK's way if nothing is said."""
    if network.egress is not Egress.NAT:
        return {"nat_gateways": 0}
    return {} if network.nat_gateways is NatGateways.ONE_PER_ZONE else {"nat_gateways": 1}
