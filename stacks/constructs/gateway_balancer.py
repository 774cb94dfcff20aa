"""The way into the mesh: a network load balancer that passes TCP through, so that TLS ends in our Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from meshcert import naming
from stacks.findings import accept

if TYPE_CHECKING:
    from stacks.constructs.envoy_service import EnvoyService
    from stacks.constructs.network import NetworkPlacement


class GatewayBalancer(Construct):
    """
    An internal network load balancer in front of a virtual gateway.

    It is internal on purpose: opening it to the Internet is a decision for a stack of your own, with your own rules.

    Args:
        placed: The network it stands in, whose addresses may connect.
        protected: AWS refuses to delete it.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, placed: NetworkPlacement, target: EnvoyService, protected: bool
    ) -> None:
        super().__init__(scope, construct_id)
        group = ec2.SecurityGroup(
            self, "Group", vpc=placed.vpc, description="Clients of the gateway", allow_all_outbound=False
        )
        balancer = elb.NetworkLoadBalancer(
            self,
            "Balancer",
            vpc=placed.vpc,
            vpc_subnets=placed.balancers,
            internet_facing=False,
            cross_zone_enabled=True,
            security_groups=[group],
            deletion_protection=protected or None,
        )
        accept(
            balancer,
            "AwsSolutions-ELB2",
            "A network load balancer logs TLS listeners only; ours passes TCP through to Envoy, which logs.",
        )
        for listener in target.proxy.listeners:
            port = ec2.Port.tcp(listener.port)
            for clients in placed.cidrs:
                group.add_ingress_rule(ec2.Peer.ipv4(clients), port, "Clients inside the network")
            group.add_egress_rule(target.group, port, "To the gateway")
            target.group.add_ingress_rule(group, port, "From its load balancer")
            balancer.add_listener(f"Port{listener.port}", port=listener.port).add_targets(
                f"Gateway{listener.port}",
                port=listener.port,
                protocol=elb.Protocol.TCP,
                targets=[
                    target.service.load_balancer_target(
                        container_name=naming.ENVOY_CONTAINER, container_port=listener.port
                    )
                ],
                # A network load balancer may send new connections to a target for two minutes after its deregistration.
                deregistration_delay=Duration.seconds(120),
                health_check=elb.HealthCheck(protocol=elb.Protocol.TCP, interval=Duration.seconds(10)),
            )
        self.dns_name = balancer.load_balancer_dns_name
