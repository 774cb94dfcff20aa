"""One service with everything that stands before it, as CloudFormation deploys it."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dnslib import DNSRecord

from tests.local.aws import stacks
from tests.local.aws.running_tasks import CLUSTER, IMAGE, PORT, RunningTask, get
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.running_aws import LocalAws

NAME = "teller.color.local"
TTL_S = 3
FRONT_PORT = 8443
_TAGS = MappingProxyType({"meshcert:identity/teller": ""})


class Front:
    """One service with everything that stands before it, deployed by CloudFormation."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.ecs = checked_client(aws, "ecs")

    def deploy(
        self,
        color: str,
        *,
        image: str = IMAGE,
        healthy: str = "yes",
        tags: Mapping[str, str] = _TAGS,
        has_count: bool = True,
    ) -> str:
        """Create or update the stack; returns its status."""
        resources = _resources(color, image, healthy)
        if not has_count:
            del resources["Service"]["Properties"]["DesiredCount"]
        resources["Service"]["Properties"]["Tags"] = [{"Key": key, "Value": tags[key]} for key in tags]
        return stacks.deploy(self.aws, "front", resources)

    def tags(self) -> dict[str, str]:
        """The service's tags by key, without CloudFormation's own."""
        tags = self.ecs.list_tags_for_resource(resourceArn=self.service["serviceArn"])["tags"]
        return {tag["key"]: tag["value"] for tag in tags if not tag["key"].startswith("aws:")}

    @property
    def tasks(self) -> list[RunningTask]:
        """Its tasks that are to run."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName="teller")["taskArns"]
        return [RunningTask(self.aws, arn, self.ecs) for arn in arns]

    @property
    def service(self) -> dict[str, Any]:
        """The service as DescribeServices shows it."""
        described: dict[str, Any] = self.ecs.describe_services(cluster=CLUSTER, services=["teller"])["services"][0]
        return described

    def ready(self) -> set[str]:
        """Addresses of its tasks that are running and healthy."""
        described = [(task.address, task.describe()) for task in self.tasks]
        wanted = {"lastStatus": "RUNNING", "healthStatus": "HEALTHY"}
        return {address for address, seen in described if {key: seen[key] for key in wanted} == wanted}

    def resolve(self, name: str = NAME, kind: str = "A", *, tcp: bool = False) -> DNSRecord:
        """Ask the local AWS's DNS server."""
        config = self.aws.config
        return DNSRecord.parse(DNSRecord.question(name, kind).send(config.host, config.dns_port, tcp=tcp, timeout=60))

    def addresses(self) -> set[str]:
        """What the service's name resolves to."""
        return {str(record.rdata) for record in self.resolve().rr}

    @property
    def balancer(self) -> tuple[str, int]:
        """Host and port of the load balancer."""
        known = self.aws.control("GET", "/_local/addresses")["load_balancers"]
        [(host, ports)] = known.values()
        assert ports == [FRONT_PORT]
        return host, ports[0]

    def ask(self) -> str:
        """One request through the load balancer."""
        host, port = self.balancer
        return get(f"http://{host}:{port}/")[1]

    def wait_before_sigterm(self, seconds: int) -> None:
        """Set the target group's deregistration delay, which the local AWS scales."""
        balancers = self.aws.client("elbv2")
        [group] = balancers.describe_target_groups()["TargetGroups"]
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
        balancers.modify_target_group_attributes(TargetGroupArn=group["TargetGroupArn"], Attributes=[delay])

    def events(self) -> list[dict[str, Any]]:
        """The events of aws.ecs that arrived since the last call."""
        queue = self.aws.client("sqs")
        url = queue.get_queue_url(QueueName="events")["QueueUrl"]
        found: list[dict[str, Any]] = []
        while messages := queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                found.append(json.loads(message["Body"]))
                queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


def registered_alone(namespace: str) -> dict[str, Any]:
    """The template's resources of the service alone, registered in a namespace that is named by its ARN."""
    resources = _resources("yellow", IMAGE, "yes")
    for name in ("Namespace", "Balancer", "Targets", "Listener", "Queue", "QueuePolicy", "Rule"):
        del resources[name]
    registry, service = resources["Registry"]["Properties"], resources["Service"]
    registry["NamespaceId"] = registry["DnsConfig"]["NamespaceId"] = namespace
    del service["Properties"]["LoadBalancers"], service["DependsOn"]
    return resources


def _resources(color: str, image: str, healthy: str) -> dict[str, Any]:
    check = {"Command": ["CMD", "python", "/app/health.py"], "Interval": 1, "Timeout": 60, "Retries": 2}
    environment = [{"Name": "COLOR", "Value": color}, {"Name": "HEALTHY", "Value": healthy}]
    app = {
        "Name": "app",
        "Image": image,
        "StopTimeout": 5,
        "Environment": environment,
        "HealthCheck": check,
        "PortMappings": [{"ContainerPort": PORT}],
    }
    dns = {"NamespaceId": {"Ref": "Namespace"}, "DnsRecords": [{"Type": "A", "TTL": TTL_S}]}
    queue_policy = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:*", "Resource": "*"}
        ]
    }
    queue_arn = {"Fn::GetAtt": ["Queue", "Arn"]}
    declared = {
        "Vpc": ("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"}),
        "Subnet": ("AWS::EC2::Subnet", {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24"}),
        "Namespace": ("AWS::ServiceDiscovery::PrivateDnsNamespace", {"Name": "color.local", "Vpc": {"Ref": "Vpc"}}),
        "Registry": (
            "AWS::ServiceDiscovery::Service",
            {"Name": "teller", "DnsConfig": dns, "HealthCheckCustomConfig": {"FailureThreshold": 1}},
        ),
        "Balancer": ("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Type": "network", "Subnets": [{"Ref": "Subnet"}]}),
        "Targets": (
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            {"Port": PORT, "Protocol": "TCP", "TargetType": "ip", "VpcId": {"Ref": "Vpc"}},
        ),
        "Listener": (
            "AWS::ElasticLoadBalancingV2::Listener",
            {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": FRONT_PORT,
                "Protocol": "TCP",
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Targets"}}],
            },
        ),
        "Queue": ("AWS::SQS::Queue", {"QueueName": "events"}),
        "QueuePolicy": ("AWS::SQS::QueuePolicy", {"Queues": [{"Ref": "Queue"}], "PolicyDocument": queue_policy}),
        "Rule": (
            "AWS::Events::Rule",
            {"EventPattern": {"source": ["aws.ecs"]}, "Targets": [{"Id": "queue", "Arn": queue_arn}]},
        ),
        "Cluster": ("AWS::ECS::Cluster", {"ClusterName": CLUSTER}),
        "Definition": (
            "AWS::ECS::TaskDefinition",
            {
                "Family": "teller",
                "NetworkMode": "awsvpc",
                "RequiresCompatibilities": ["FARGATE"],
                "Cpu": "256",
                "Memory": "512",
                "ContainerDefinitions": [app],
            },
        ),
        "Service": (
            "AWS::ECS::Service",
            {
                "ServiceName": "teller",
                "Cluster": {"Ref": "Cluster"},
                "TaskDefinition": {"Ref": "Definition"},
                "DesiredCount": 2,
                "LaunchType": "FARGATE",
                "ServiceRegistries": [{"RegistryArn": {"Fn::GetAtt": ["Registry", "Arn"]}}],
                "LoadBalancers": [
                    {"ContainerName": "app", "ContainerPort": PORT, "TargetGroupArn": {"Ref": "Targets"}}
                ],
                "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": [{"Ref": "Subnet"}]}},
                "DeploymentConfiguration": {
                    "MinimumHealthyPercent": 100,
                    "MaximumPercent": 200,
                    "DeploymentCircuitBreaker": {"Enable": True, "Rollback": False},
                },
            },
        ),
    }
    resources: dict[str, Any] = {
        name: {"Type": kind, "Properties": properties} for name, (kind, properties) in declared.items()
    }
    resources["Service"]["DependsOn"] = ["Listener", "Rule", "QueuePolicy"]
    return resources
