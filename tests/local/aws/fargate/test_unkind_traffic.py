"""How an unkind local AWS, which behaves as AWS does, lets callers find tasks and lets tasks stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from dnslib import RCODE, DNSRecord

from local.aws.config import UNKIND
from local.running_aws import LocalAws
from tests.local.aws.front import Front
from tests.local.aws.hierarchies import eventually
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.running_tasks import CLUSTER, build_image

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALE = 0.05
CUSTOM_HEALTH_S = UNKIND.custom_health_s * SCALE
# AWS's default of a target group.
DEREGISTRATION_DELAY_S = 300 * SCALE
LONGEST_DELAY_S = 3600


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An unkind local AWS with the tests' image."""
    folder = tmp_path_factory.mktemp("unkind")
    with LocalAws(folder / "aws", images=folder / "images", traffic=UNKIND.scaled(SCALE)) as local_aws:
        build_image(local_aws, folder / "context")
        yield local_aws


@pytest.fixture
def front(aws: LocalAws) -> Iterator[Front]:
    """Two healthy tasks behind Cloud Map and a load balancer."""
    aws.reset()
    front = Front(aws)
    front.deploy("yellow")
    yield front
    aws.reset()


class Named:
    """A service of Cloud Map's own, without tasks, in a namespace that says how long denials last."""

    def __init__(self, aws: LocalAws, *, custom_health: bool = True, **soa: int) -> None:
        self.aws = aws
        # The hosts of DiscoverInstances begin with "data-", and an address of ours cannot.
        self.cloud_map = aws.client("servicediscovery", Config(inject_host_prefix=False))
        more: dict[str, Any] = {"Properties": {"DnsProperties": {"SOA": soa}}} if soa else {}
        self.cloud_map.create_private_dns_namespace(Name="own.local", Vpc="vpc-1", **more)
        [namespace] = self.cloud_map.list_namespaces()["Namespaces"]
        dns = {"DnsRecords": [{"Type": "A", "TTL": 1}], "RoutingPolicy": "MULTIVALUE"}
        health = {"HealthCheckCustomConfig": {"FailureThreshold": 1}} if custom_health else {}
        call = {"Name": "many", "NamespaceId": namespace["Id"], "DnsConfig": dns, **health}
        self.id = self.cloud_map.create_service(**call)["Service"]["Id"]

    def register(self, number: int) -> None:
        """Register an instance."""
        attributes = {"AWS_INSTANCE_IPV4": f"10.0.0.{number}"}
        self.cloud_map.register_instance(ServiceId=self.id, InstanceId=f"i-{number}", Attributes=attributes)

    def health(self) -> dict[str, str]:
        """The health of each instance."""
        return health_of(self.aws, self.id)

    def resolve(self) -> DNSRecord:
        """Ask for the service's name."""
        running = self.aws.config
        return DNSRecord.parse(DNSRecord.question("many.own.local").send(running.host, running.dns_port, timeout=60))


def health_of(aws: LocalAws, service_id: str) -> dict[str, str]:
    """What Cloud Map says of the health of a service's instances."""
    answer: dict[str, str] = aws.client("servicediscovery").get_instances_health_status(ServiceId=service_id)["Status"]
    return answer


def test_who_asks_before_the_first_healthy_task_is_denied_and_stays_denied(aws: LocalAws) -> None:
    """A running task is registered as unhealthy; its health counts late, and the denial is kept beyond that."""
    aws.reset()
    front = Front(aws)
    worker = threading.Thread(target=front.deploy, args=("yellow",), kwargs={"healthy": "no"})
    worker.start()
    eventually(lambda: len(front.tasks) == 2, "two tasks")
    for task in front.tasks:
        task.answers()
        task.reaches(lastStatus="RUNNING")
    [service] = aws.client("servicediscovery").list_services()["Services"]
    eventually(lambda: len(health_of(aws, service["Id"])) == 2, "both to be registered")

    asked = time.monotonic()
    denied = front.resolve()
    assert denied.header.rcode == RCODE.NXDOMAIN
    assert set(health_of(aws, service["Id"]).values()) == {"UNHEALTHY"}
    began = time.monotonic()
    for task in front.tasks:
        task.get("/become/healthy")
    eventually(lambda: set(health_of(aws, service["Id"]).values()) == {"HEALTHY"}, "both healthy for Cloud Map")

    assert time.monotonic() - began >= CUSTOM_HEALTH_S
    # A minute of AWS's is over, and the resolver still repeats what it was told.
    assert 0 < denied.auth[0].ttl <= UNKIND.denial_s * SCALE
    later = front.resolve()
    assert later.header.rcode == RCODE.NXDOMAIN or time.monotonic() - asked >= denied.auth[0].ttl
    eventually(lambda: front.addresses() == front.ready() != set(), "both in DNS when the denial is over")
    worker.join(60)
    aws.reset()


def test_a_namespace_says_how_long_its_denials_last(aws: LocalAws) -> None:
    """``DnsProperties.SOA.TTL`` is the TTL of denials, at creation and after an update; without it the resolver's."""
    aws.reset()
    named = Named(aws, TTL=7)
    assert [record.ttl for record in named.resolve().auth] == [7]

    [namespace] = named.cloud_map.list_namespaces()["Namespaces"]
    change = {"Properties": {"DnsProperties": {"SOA": {"TTL": 3}}}}
    named.cloud_map.update_private_dns_namespace(Id=namespace["Id"], Namespace=change)

    eventually(lambda: named.resolve().auth[0].ttl == 3, "the new TTL once the old denial is over")
    aws.reset()
    assert [record.ttl for record in Named(aws).resolve().auth] == [int(UNKIND.denial_s * SCALE)]


def test_ten_instances_show_eight_at_random_for_the_ttl(aws: LocalAws) -> None:
    """Each answer holds eight of ten, the same ones until the TTL is over, and all ten in time."""
    aws.reset()
    named = Named(aws)
    for number in range(10):
        named.register(number + 1)

    seen: set[str] = set()

    def all_were_seen() -> bool:
        addresses = {str(record.rdata) for record in named.resolve().rr}
        assert len(addresses) == 8
        seen.update(addresses)
        return len(seen) == 10

    eventually(all_were_seen, "all ten")


def test_a_custom_health_status_counts_late(aws: LocalAws) -> None:
    """The call answers at once; the status changes after the delay, and the revision never for it."""
    aws.reset()
    named = Named(aws)
    named.register(1)
    name = {"NamespaceName": "own.local", "ServiceName": "many"}
    revision = named.cloud_map.discover_instances_revision(**name)["InstancesRevision"]
    began = time.monotonic()
    named.cloud_map.update_instance_custom_health_status(ServiceId=named.id, InstanceId="i-1", Status="UNHEALTHY")

    assert named.health() == {"i-1": "HEALTHY"} or time.monotonic() - began >= CUSTOM_HEALTH_S
    eventually(lambda: named.health() == {"i-1": "UNHEALTHY"}, "the status to count")

    assert time.monotonic() - began >= CUSTOM_HEALTH_S
    assert named.cloud_map.discover_instances_revision(**name)["InstancesRevision"] == revision


def test_a_service_without_custom_health_takes_no_status(aws: LocalAws) -> None:
    """CustomHealthNotFound, as on AWS."""
    aws.reset()
    named = Named(aws, custom_health=False)
    named.register(1)

    with pytest.raises(ClientError) as refused:
        named.cloud_map.update_instance_custom_health_status(ServiceId=named.id, InstanceId="i-1", Status="HEALTHY")

    assert code_of(refused) == "CustomHealthNotFound"


def test_a_task_that_stop_task_stops_is_gone_while_the_load_balancer_still_sends(front: Front) -> None:
    """SIGTERM comes at once, the deregistration delay notwithstanding; for the lag new connections go to nobody."""
    victim = front.tasks[0]
    address = victim.address
    front.wait_before_sigterm(LONGEST_DELAY_S)
    eventually(lambda: answered(front), "a load balancer that has seen its targets")
    front.aws.control("PUT", "/_local/targets", {"held": True})
    front.ecs.stop_task(cluster=CLUSTER, task=victim.arn)

    victim.reaches(lastStatus="STOPPED")
    eventually(lambda: not answered(front), "a connection that goes to the stopped task")
    eventually(lambda: address not in front.addresses(), "its address to leave DNS")

    front.aws.control("PUT", "/_local/targets", {"held": False})
    eventually(lambda: all(answered(front) for _ in range(4)), "every connection after the lag")


def test_a_task_that_the_scheduler_stops_leaves_the_load_balancer_first(front: Front) -> None:
    """Deregistered at once, it is signalled when the target group's deregistration delay is over."""
    victim = front.tasks[0]
    address = victim.address
    victim.get("/become/unhealthy")
    eventually(lambda: victim.describe()["desiredStatus"] == "STOPPED", "ECS to give it up")
    [group] = front.aws.client("elbv2").describe_target_groups()["TargetGroups"]
    health = front.aws.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])

    assert address not in [item["Target"]["Id"] for item in health["TargetHealthDescriptions"]]
    assert victim.get()[0] == 200
    stopped = victim.reaches(lastStatus="STOPPED")
    assert (stopped["stoppedAt"] - stopped["stoppingAt"]).total_seconds() >= DEREGISTRATION_DELAY_S


def answered(front: Front) -> bool:
    """Whether one request through the load balancer is answered."""
    try:
        return front.ask().startswith("yellow")
    except OSError:
        return False
