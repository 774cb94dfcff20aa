"""The way into the mesh: a load balancer that a deploy makes, or target groups of one of yours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from meshcert import naming
from meshcert.mesh.load_balancers import BalancerScheme, BalancerType
from meshcert.proxy import TlsMode
from stacks.constructs.envoy_service import peer
from stacks.findings import accept

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from meshcert.mesh.load_balancers import LoadBalancer
    from meshcert.proxy import Listener
    from stacks.constructs.envoy_service import EnvoyService
    from stacks.constructs.network import NetworkPlacement

# A load balancer may send new connections to a target for two minutes after its deregistration.
DEREGISTRATION = Duration.seconds(120)
_EVERY = Duration.seconds(10)
_WHO = "Clients that the mesh file names"
_SPOKEN = {
    "grpc": elb.ApplicationProtocolVersion.GRPC,
    "http2": elb.ApplicationProtocolVersion.HTTP2,
    "http": elb.ApplicationProtocolVersion.HTTP1,
}


def join_target_groups(target: EnvoyService, balancer: LoadBalancer, placed: NetworkPlacement) -> None:
    """
    Have ECS register a gateway's tasks in target groups of yours, and admit whom the mesh file names.

    Args:
        placed: The network, whose addresses are admitted if the file names nobody.
    """
    for listener in target.proxy.listeners:
        group = elb.NetworkTargetGroup.from_target_group_attributes(
            target, f"TargetGroup-{listener.port}", target_group_arn=balancer.target_groups[listener.port]
        )
        group.add_target(_target(target, listener))
        for clients in _clients(balancer, placed):
            target.group.add_ingress_rule(clients, ec2.Port.tcp(listener.port), "From a load balancer of yours")


class GatewayBalancer(Construct):
    """
    A load balancer in front of a virtual gateway.

    By default it is an internal one that passes TCP through, so that TLS ends in our Envoy: opening it to the internet,
    or having it end TLS, is a decision that the mesh file says.

    Args:
        balancer: What the mesh file says of it.
        placed: The network it stands in, whose addresses may connect if the file names nobody.
        protected: AWS refuses to delete it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        balancer: LoadBalancer,
        placed: NetworkPlacement,
        target: EnvoyService,
        protected: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._declared, self._target = balancer, target
        self._group = ec2.SecurityGroup(
            self, "Group", vpc=placed.vpc, description="Clients of the gateway", allow_all_outbound=False
        )
        for listener in target.proxy.listeners:
            port = ec2.Port.tcp(balancer.port or listener.port)
            for clients in _clients(balancer, placed):
                why = _WHO if balancer.clients else "Clients inside the network"
                self._group.add_ingress_rule(clients, port, why)
        if balancer.clients:
            accept(self._group, "AwsSolutions-EC23", "The mesh file says whom the load balancer admits.")
        is_network = balancer.type is BalancerType.NETWORK
        made = (self._network if is_network else self._application)(placed, protected=protected)
        accept(
            made,
            "AwsSolutions-ELB2",
            "A network load balancer logs TLS listeners only; ours passes TCP through to Envoy, which logs."
            if is_network
            else "Access logs are a bucket of yours and a price of their own; Envoy behind it logs requests.",
        )
        self.dns_name = made.load_balancer_dns_name
        """The name by which clients find it."""

    def _network(self, placed: NetworkPlacement, *, protected: bool) -> elb.NetworkLoadBalancer:
        made = elb.NetworkLoadBalancer(
            self,
            "Balancer",
            vpc=placed.vpc,
            vpc_subnets=placed.balancers,
            internet_facing=self._declared.scheme is BalancerScheme.INTERNET_FACING,
            cross_zone_enabled=True,
            security_groups=[self._group],
            deletion_protection=protected or None,
        )
        for listener in self._target.proxy.listeners:
            port = ec2.Port.tcp(listener.port)
            self._group.add_egress_rule(self._target.group, port, "To the gateway")
            self._target.group.add_ingress_rule(self._group, port, "From its load balancer")
            made.add_listener(f"Port{listener.port}", port=self._declared.port or listener.port).add_targets(
                f"Gateway{listener.port}",
                port=listener.port,
                protocol=elb.Protocol.TCP,
                targets=[_target(self._target, listener)],
                deregistration_delay=DEREGISTRATION,
                health_check=elb.HealthCheck(protocol=elb.Protocol.TCP, interval=_EVERY),
            )
        return made

    def _application(self, placed: NetworkPlacement, *, protected: bool) -> elb.ApplicationLoadBalancer:
        """It ends TLS with its own certificate; what leads on to Envoy is as the gateway's listener asks for."""
        made = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=placed.vpc,
            vpc_subnets=placed.balancers,
            internet_facing=self._declared.scheme is BalancerScheme.INTERNET_FACING,
            security_group=self._group,
            deletion_protection=protected or None,
            drop_invalid_header_fields=True,
        )
        for listener in self._target.proxy.listeners:
            is_plain, is_grpc = listener.tls.mode is TlsMode.DISABLED, listener.protocol == "grpc"
            protocol = elb.ApplicationProtocol.HTTP if is_plain else elb.ApplicationProtocol.HTTPS
            made.add_listener(
                f"Port{listener.port}",
                port=self._declared.port or listener.port,
                protocol=elb.ApplicationProtocol.HTTPS,
                certificates=[elb.ListenerCertificate.from_arn(self._declared.certificate)],
                ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
                open=False,
            ).add_targets(
                f"Gateway{listener.port}",
                port=listener.port,
                protocol=protocol,
                protocol_version=_SPOKEN[listener.protocol],
                # It makes the rules of both security groups.
                targets=[_target(self._target, listener)],
                deregistration_delay=DEREGISTRATION,
                # Any answer says that Envoy is there: which path has a route is not the load balancer's business.
                health_check=elb.HealthCheck(
                    interval=_EVERY,
                    healthy_grpc_codes="0-99" if is_grpc else None,
                    healthy_http_codes=None if is_grpc else "200-499",
                ),
            )
        return made


def _clients(balancer: LoadBalancer, placed: NetworkPlacement) -> list[ec2.IPeer]:
    if balancer.clients:
        return [peer(clients) for clients in balancer.clients]
    return [ec2.Peer.ipv4(cidr) for cidr in placed.cidrs]


def _target(target: EnvoyService, listener: Listener) -> ecs.IEcsLoadBalancerTarget:
    return target.service.load_balancer_target(container_name=naming.ENVOY_CONTAINER, container_port=listener.port)
