"""
A CDK app of your own: network, cluster, load balancer and the service ``orders``, which joins a mesh by a sidecar.

    cdk deploy --app "python examples/own-cdk-app/own_app.py"                the service as it was
    cdk deploy --app "python examples/own-cdk-app/own_app.py" -c mesh=FILE   with the sidecar, after the mesh

What joins it stands between the two marks; take it out, and the service has left the mesh.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb

from stacks.constructs.attached.sidecar import EnvoySidecar

if TYPE_CHECKING:
    from constructs import Construct

APPLICATION = Path(__file__).resolve().parent / "orders"
ADDRESSES = "172.16.0.0/16"
PORT = 8080


class OwnApp(Stack):
    """The service ``orders`` behind a network load balancer, in plain text."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(ADDRESSES),
            nat_gateways=0,
            subnet_configuration=[ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)],
        )
        cluster = ecs.Cluster(self, "Cluster", cluster_name="own", vpc=vpc)
        group = ec2.SecurityGroup(self, "Group", vpc=vpc)
        group.add_ingress_rule(ec2.Peer.ipv4(ADDRESSES), ec2.Port.tcp(PORT))
        # What Fargate runs a task on where the task definition does not say.
        platform = ecr_assets.Platform.LINUX_AMD64
        image = ecr_assets.DockerImageAsset(self, "Image", directory=str(APPLICATION), platform=platform)
        task = ecs.FargateTaskDefinition(self, "Task", cpu=512, memory_limit_mib=1024)
        application = task.add_container(
            "app",
            image=ecs.ContainerImage.from_docker_image_asset(image),
            environment={"PORT": str(PORT)},
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            health_check=ecs.HealthCheck(
                command=["CMD", "python", "/app/orders.py", "check"], interval=Duration.seconds(5)
            ),
            logging=ecs.LogDrivers.aws_logs(stream_prefix="app"),
        )
        service = ecs.FargateService(
            self,
            "Service",
            service_name="orders",
            cluster=cluster,
            task_definition=task,
            desired_count=2,
            min_healthy_percent=100,
            assign_public_ip=True,
            security_groups=[group],
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )
        balancer = elb.NetworkLoadBalancer(self, "Balancer", vpc=vpc, internet_facing=False)
        listener = balancer.add_listener("Listener", port=80)
        listener.add_targets("Tasks", port=PORT, targets=[service])

        # The sidecar, from here
        if mesh := self.node.try_get_context("mesh"):
            sidecar = EnvoySidecar(self, "Sidecar", task=task, mesh=mesh, service="orders", application=application)
            sidecar.join(service)
        # to here

        subnet = vpc.public_subnets[0]
        for name, value in {
            "Vpc": vpc.vpc_id,
            "Subnet": subnet.subnet_id,
            "Zone": subnet.availability_zone,
            "Group": group.security_group_id,
            "Address": balancer.load_balancer_dns_name,
            "Image": image.image_uri,
        }.items():
            CfnOutput(self, f"Own{name}", value=value)


def build(app: App) -> App:
    """Add the stack ``own``."""
    OwnApp(app, "own")
    return app


if __name__ == "__main__":
    build(App()).synth()
