"""ECS services of the local AWS: rolling deployments, and what stands before their tasks."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from dnslib import QTYPE, RCODE

from local.aws.config import KIND
from local.running_aws import LocalAws
from tests.local.aws import stacks
from tests.local.aws.front import TTL_S, Front, registered_alone
from tests.local.aws.hierarchies import eventually
from tests.local.aws.running_tasks import CLUSTER, build_image
from tests.local.aws.shared_authorities import OWNER, InAccount, share

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """
    A local AWS with the tests' image; kind, because these tests are about deployments.

    What AWS does to callers has tests of its own (``test_unkind_traffic.py``).
    """
    folder = tmp_path_factory.mktemp("services")
    with LocalAws(folder / "aws", images=folder / "images", traffic=KIND) as local_aws:
        build_image(local_aws, folder / "context")
        yield local_aws


@pytest.fixture
def front(aws: LocalAws) -> Iterator[Front]:
    """A network, two healthy yellow tasks behind Cloud Map and a load balancer, and the rules that watch them."""
    aws.reset()
    front = Front(aws)
    front.deploy("yellow")
    yield front
    aws.reset()


def test_healthy_tasks_are_found_by_dns_with_the_services_ttl(front: Front) -> None:
    """CREATE_COMPLETE means steady: both tasks are in DNS, over UDP and TCP. AAAA is empty, other names are denied."""
    reply = front.resolve()

    assert {str(record.rdata) for record in reply.rr} == front.ready()
    assert len(front.ready()) == 2
    assert {record.ttl for record in reply.rr} == {TTL_S}
    assert len(front.resolve(tcp=True).rr) == 2
    ipv6 = front.resolve(kind="AAAA")
    assert (ipv6.header.rcode, ipv6.rr) == (RCODE.NOERROR, [])
    assert [QTYPE[record.rtype] for record in ipv6.auth] == ["SOA"]
    assert front.resolve("other.color.local").header.rcode == RCODE.NXDOMAIN
    assert front.resolve("example.com").header.rcode == RCODE.REFUSED


def test_the_load_balancers_name_leads_to_a_forwarder_that_takes_turns(front: Front) -> None:
    """Four requests reach both tasks twice each."""
    balancer = front.aws.client("elbv2").describe_load_balancers()["LoadBalancers"][0]

    [record] = front.resolve(balancer["DNSName"]).rr
    answers = sorted(front.ask() for _ in range(4))

    assert str(record.rdata) == front.balancer[0]
    assert answers == sorted(2 * [f"yellow {address}" for address in front.ready()])


def test_the_forwarder_passes_on_the_end_of_one_direction(front: Front) -> None:
    """A client that closes its sending side still gets the whole answer."""
    with socket.create_connection(front.balancer, timeout=3) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))

    assert b"yellow" in answer


def test_a_name_never_resolves_to_nothing_before_the_first_healthy_task(aws: LocalAws) -> None:
    """While the first tasks are not healthy DNS fails instead of denying the name; then it has them."""
    aws.reset()
    front = Front(aws)
    worker = threading.Thread(target=front.deploy, args=("yellow",), kwargs={"healthy": "no"})
    worker.start()
    eventually(lambda: len(front.tasks) == 2, "two tasks")
    for task in front.tasks:
        task.answers()

    assert front.resolve().header.rcode == RCODE.SERVFAIL
    assert aws.control("GET", "/_local/addresses")["tasks"].keys() == {task.arn for task in front.tasks}
    for task in front.tasks:
        task.get("/become/healthy")

    eventually(lambda: len(front.addresses()) == 2, "both addresses")
    worker.join(10)
    aws.reset()


def test_ecs_registers_tasks_in_a_namespace_that_another_account_shares(aws: LocalAws) -> None:
    """By the registry's ARN, from steady to deleted; both accounts find them."""
    aws.reset()
    owner, theirs = aws.client("servicediscovery"), InAccount(aws)
    owner.create_private_dns_namespace(Name="color.local", Vpc="vpc-1")
    arn = owner.list_namespaces()["Namespaces"][0]["Arn"]
    share(aws, [arn], "arn:aws:ram::aws:permission/AWSRAMPermissionCloudMapECSFullPermission")
    call = {"NamespaceName": "color.local", "ServiceName": "teller", "OwnerAccount": OWNER}

    def found(client: Any) -> list[str]:
        return sorted(each["InstanceId"] for each in client.discover_instances(**call)["Instances"])

    assert stacks.deploy(theirs, "front", registered_alone(arn)) == "CREATE_COMPLETE"

    tasks = sorted(each.rpartition("/")[2] for each in theirs.client("ecs").list_tasks(cluster=CLUSTER)["taskArns"])
    assert found(owner) == found(theirs.client("servicediscovery")) == tasks
    assert len(tasks) == 2
    theirs.client("ecs").update_service(cluster=CLUSTER, service="teller", desiredCount=0)
    eventually(lambda: not found(owner), "no instance")
    assert stacks.delete(theirs, "front") == "DELETE_COMPLETE"
    assert owner.list_services()["Services"] == []
    aws.reset()


def test_a_rolling_deployment_loses_no_request_and_no_healthy_task(front: Front) -> None:
    """Under load every request is answered, two tasks are healthy at any time, and the old ones end."""
    old = front.ready()
    answers: list[str] = []
    least = [2]
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            answers.append(front.ask())
            least.append(len(front.ready()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = front.deploy("blue")
    eventually(
        lambda: old.isdisjoint(front.aws.control("GET", "/_local/addresses")["tasks"].values()), "the old to end"
    )
    done.set()
    watcher.join(10)

    assert status == "UPDATE_COMPLETE"
    assert min(least) == 2
    assert {answer.split()[0] for answer in answers} == {"yellow", "blue"}
    assert front.addresses() == front.ready()
    assert [deployment["rolloutState"] for deployment in front.service["deployments"]] == ["COMPLETED"]


def test_an_unhealthy_task_leaves_dns_and_is_replaced(front: Front) -> None:
    """It is withdrawn at once, stopped with ECS's reason, and another one takes its place."""
    sick, well = front.tasks
    sick.get("/become/unhealthy")

    eventually(lambda: sick.address not in front.addresses(), "the sick task to leave DNS")
    eventually(lambda: len(front.addresses() - {sick.address}) == 2, "another task")

    stopped = sick.reaches(lastStatus="STOPPED")
    assert stopped["stoppedReason"] == "Task failed container health checks"
    assert well.address in front.addresses()


def test_the_circuit_breaker_ends_a_deployment_that_cannot_start(front: Front) -> None:
    """The stack rolls back, says why, and the old tasks' color was served all along."""
    front.events()

    status = front.deploy("red", image="fargate-tests:absent")

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "CannotPullContainerError" in stacks.reasons_of(front.aws, "front")
    assert front.ask().startswith("yellow")
    kinds = [event["detail"].get("eventName") for event in front.events()]
    assert kinds.count("SERVICE_DEPLOYMENT_FAILED") == 1
    assert "SERVICE_DEPLOYMENT_COMPLETED" in kinds


def test_every_step_of_a_task_is_an_event(front: Front) -> None:
    """Task state changes carry the task as DescribeTasks has it; the deployment's end names the service."""
    events = front.events()

    task = front.tasks[0]
    mine = [event for event in events if event["resources"] == [task.arn]]
    assert [event["detail"]["lastStatus"] for event in mine] == ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"]
    assert mine[0]["source"] == "aws.ecs"
    assert mine[0]["detail-type"] == "ECS Task State Change"
    assert mine[-1]["detail"]["group"] == "service:teller"
    [completed] = [event for event in events if event["detail"].get("eventName") == "SERVICE_DEPLOYMENT_COMPLETED"]
    assert completed["resources"] == [front.service["serviceArn"]]
    assert completed["detail"]["deploymentId"] == front.service["deployments"][0]["id"]
    assert completed["detail"]["eventType"] == "INFO"


def test_the_templates_tags_are_the_services_tags(front: Front) -> None:
    """Set at creation, changed by an update that starts no deployment; a tag that somebody else set stays."""
    arn = front.service["serviceArn"]
    front.ecs.tag_resource(resourceArn=arn, tags=[{"key": "owner", "value": "me"}])
    before = front.tags()
    deployment = front.service["deployments"][0]["id"]

    status = front.deploy("yellow", tags={"meshcert:identity/gateway": ""})

    assert before == {"meshcert:identity/teller": "", "owner": "me"}
    assert status == "UPDATE_COMPLETE"
    assert front.tags() == {"meshcert:identity/gateway": "", "owner": "me"}
    assert [item["id"] for item in front.service["deployments"]] == [deployment]


def test_a_template_that_names_no_number_leaves_a_scalers_and_one_that_does_takes_it_back(front: Front) -> None:
    """Whatever else it changes: the reason for leaving DesiredCount out (AWS::ECS::Service, "DesiredCount")."""
    front.ecs.update_service(cluster=CLUSTER, service="teller", desiredCount=1)

    assert front.deploy("blue", has_count=False) == "UPDATE_COMPLETE"
    assert front.service["desiredCount"] == 1
    assert front.deploy("blue", tags={"owner": "me"}) == "UPDATE_COMPLETE"
    assert front.service["desiredCount"] == 2


def test_deleting_the_stack_ends_the_tasks_first(front: Front) -> None:
    """DELETE_COMPLETE means that no task runs; the deletion waits for the deregistration, not for the stop timeout."""
    started = time.monotonic()

    status = stacks.delete(front.aws, "front")

    assert status == "DELETE_COMPLETE"
    assert front.aws.control("GET", "/_local/addresses") == {"load_balancers": {}, "tasks": {}}
    assert time.monotonic() - started < 5
