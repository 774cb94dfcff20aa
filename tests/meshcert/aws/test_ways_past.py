"""What reaches an attached service's application past its Envoy, and what AWS is asked to learn it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.aws.ecs.ways_past import WaysPast, ways_past
from meshcert.errors import AccessDenied, IdentityMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = 8080
NETWORK = {"awsvpcConfiguration": {"securityGroups": ["sg-1"]}}
DEFINITION = {
    "containerDefinitions": [
        {"portMappings": [{"name": "web", "containerPort": PORT}, {"containerPort": 9000}]},
        {"portMappings": [{"name": "mesh", "containerPort": 9443}]},
        {},
    ]
}


def rule(protocol: str, ports: tuple[int, int] | None, **sources: Any) -> dict[str, Any]:
    """A rule of a security group as EC2 describes it."""
    return {
        "IpProtocol": protocol,
        **(dict(zip(("FromPort", "ToPort"), ports, strict=True)) if ports else {}),
        **sources,
    }


MESH_RULE = rule("tcp", (9443, 9443), UserIdGroupPairs=[{"GroupId": "sg-edge"}])
PRIMARY: dict[str, Any] = {"status": "PRIMARY"}
GROUP = {"GroupId": "sg-1", "IpPermissions": [MESH_RULE]}
SERVICE: dict[str, Any] = {
    "status": "ACTIVE",
    "taskDefinition": "td/1",
    "networkConfiguration": NETWORK,
    "serviceRegistries": [{"registryArn": "arn/srv-1"}],
    "deployments": [PRIMARY],
}
CLOSED = WaysPast(PORT, "orders", SERVICE, DEFINITION, [GROUP], {"arn/srv-1": "orders"})


def admitting(*rules: dict[str, Any]) -> WaysPast:
    """With more rules at the tasks' group."""
    return replace(CLOSED, groups=[{"GroupId": "sg-1", "IpPermissions": [MESH_RULE, *rules]}])


def with_service(**fields: Any) -> WaysPast:
    """With other fields of the ECS service."""
    return replace(CLOSED, service={**SERVICE, **fields})


def offering(name: str) -> list[dict[str, Any]]:
    """Deployments whose newest offers a port by Service Connect."""
    older = {"status": "ACTIVE", "serviceConnectConfiguration": {"services": [{"portName": "web"}]}}
    return [older, {**PRIMARY, "serviceConnectConfiguration": {"services": [{"portName": name}]}}]


def behind_lattice(name: str) -> list[dict[str, Any]]:
    """A deployment whose tasks ECS registers with VPC Lattice, by the name of a port."""
    return [{**PRIMARY, "vpcLatticeConfigurations": [{"targetGroupArn": "lattice/tg", "portName": name}]}]


@pytest.mark.parametrize(
    ("found", "way"),
    [
        (admitting(rule("tcp", (8000, 9000), IpRanges=[{"CidrIp": "10.0.0.0/8"}])), "sg-1 admits 10.0.0.0/8"),
        (admitting(rule("-1", None, UserIdGroupPairs=[{"GroupId": "sg-9"}])), "sg-1 admits sg-9"),
        (admitting(rule("tcp", (PORT, PORT), Ipv6Ranges=[{"CidrIpv6": "::/0"}])), "sg-1 admits ::/0"),
        (admitting(rule("tcp", (PORT, PORT), PrefixListIds=[{"PrefixListId": "pl-1"}])), "sg-1 admits pl-1"),
        (with_service(loadBalancers=[{"containerPort": PORT, "targetGroupArn": "tg/old"}]), "target group tg/old"),
        (
            with_service(taskSets=[{"loadBalancers": [{"containerPort": PORT, "targetGroupArn": "tg/green"}]}]),
            "target group tg/green",
        ),
        (
            with_service(serviceRegistries=[{"registryArn": "arn/srv-1", "containerPort": PORT}]),
            "Cloud Map service orders",
        ),
        (replace(CLOSED, registries={"arn/srv-1": "orders-plain"}), "Cloud Map service orders-plain"),
        (with_service(deployments=offering("web")), "Service Connect's web"),
        (with_service(deployments=behind_lattice("web")), "target group lattice/tg"),
        (with_service(networkConfiguration={}), "a network mode other than awsvpc"),
        (admitting(rule("6", (PORT, PORT), UserIdGroupPairs=[{"GroupId": "sg-1"}])), "sg-1 admits sg-1"),
        (admitting(rule("tcp", None, IpRanges=[{"CidrIp": "10.0.0.0/8"}])), "sg-1 admits 10.0.0.0/8"),
        (admitting(rule("tcp", (-1, -1), IpRanges=[{"CidrIp": "10.0.0.0/8"}])), "sg-1 admits 10.0.0.0/8"),
        (
            admitting(rule("tcp", (PORT, PORT), UserIdGroupPairs=[{"PeeringStatus": "deleted"}])),
            "sg-1 admits a source without a name",
        ),
    ],
    ids=[
        *("range", "every protocol", "IPv6", "prefix list", "target group", "of a task set", "port in Cloud Map"),
        *("name", "Connect", "Lattice", "bridge", "by number, from its own group", "no ports", "all ports", "no name"),
    ],
)
def test_whatever_reaches_the_application_itself_is_named(found: WaysPast, way: str) -> None:
    """Envoy's port takes mutual TLS alone, and whoever knows the application's goes past it."""
    assert list(found.named()) == [way]


@pytest.mark.parametrize(
    "found",
    [
        CLOSED,
        admitting(rule("udp", (PORT, PORT), IpRanges=[{"CidrIp": "0.0.0.0/0"}])),
        admitting(rule("icmp", (-1, -1), IpRanges=[{"CidrIp": "0.0.0.0/0"}])),
        with_service(loadBalancers=[{"containerPort": 9443, "targetGroupArn": "tg/mesh"}]),
        with_service(deployments=offering("mesh")),
        with_service(networkConfiguration={}, taskSets=[{"networkConfiguration": NETWORK}]),
        with_service(deployments=behind_lattice("mesh")),
        admitting(rule("tcp", (PORT, PORT), IpRanges=[])),
        replace(CLOSED, service={"status": "ACTIVE"}, groups=(), registries={}),
    ],
    ids=[
        "the mesh's rules",
        "UDP",
        "ping",
        "Envoy's target group",
        "Envoy by Service Connect",
        "network of a task set",
        "Envoy by Lattice",
        "a rule that admits nobody",
        "no task set yet",
    ],
)
def test_what_leads_to_envoy_is_no_way_past_it(found: WaysPast) -> None:
    """Rules for Envoy's port are the mesh's own."""
    assert (list(found.named()), list(found.unread())) == ([], [])


class TheirAccount:
    """An account with one service. It keeps what is asked of it, and denies some of it."""

    def __init__(self, service: Mapping[str, Any], denied: str = "") -> None:
        self._service, self._denied = service, denied
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def read(self, action: str, **arguments: Any) -> Mapping[str, Any]:
        """What AWS says."""
        self.asked.append((action, arguments))
        if action == self._denied:
            raise AccessDenied(action, "own/orders", "AccessDeniedException")
        answers: dict[str, Mapping[str, Any]] = {
            "ecs:DescribeServices": {"services": [self._service]},
            "ecs:DescribeTaskDefinition": {"taskDefinition": DEFINITION},
            "ec2:DescribeSecurityGroups": {"SecurityGroups": [GROUP]},
            "servicediscovery:GetService": {"Service": {"Name": "orders"}},
        }
        return answers[action]


def test_no_task_definition_is_read_without_service_connect() -> None:
    """It holds what its owner put into environments, and nothing else here needs it."""
    account = TheirAccount(SERVICE)

    seen = ways_past(account.read, "own/orders", PORT, "orders")

    assert list(seen.named()) == []
    assert account.asked == [
        ("ecs:DescribeServices", {"cluster": "own", "services": ["orders"]}),
        ("ec2:DescribeSecurityGroups", {"GroupIds": ["sg-1"]}),
        ("servicediscovery:GetService", {"Id": "srv-1"}),
    ]


@pytest.mark.parametrize(
    ("owner", "asked"), [("1", "srv-1"), ("2", "arn:aws:servicediscovery:eu-west-1:2:service/srv-1")]
)
def test_a_registration_in_another_accounts_namespace_is_asked_for_by_its_arn(owner: str, asked: str) -> None:
    """Cloud Map knows its id there alone."""
    arn = f"arn:aws:servicediscovery:eu-west-1:{owner}:service/srv-1"
    own = "arn:aws:ecs:eu-west-1:1:service/own/orders"
    account = TheirAccount({**SERVICE, "serviceArn": own, "serviceRegistries": [{"registryArn": arn}]})

    ways_past(account.read, "own/orders", PORT, "orders")

    assert account.asked[-1] == ("servicediscovery:GetService", {"Id": asked})


@pytest.mark.parametrize(
    ("denied", "ways", "unread"),
    [("", ["Service Connect's web"], []), ("ecs:DescribeTaskDefinition", [], ["Service Connect's web"])],
    ids=["read", "denied"],
)
def test_where_service_connect_leads_its_task_definition_says(denied: str, ways: list[str], unread: list[str]) -> None:
    """Denied it, as the operator role is, what may lead there is known by name."""
    account = TheirAccount({**SERVICE, "deployments": offering("web")}, denied)

    seen = ways_past(account.read, "own/orders", PORT, "orders")

    assert (list(seen.named()), list(seen.unread())) == (ways, unread)


def test_a_service_that_is_gone_is_missing() -> None:
    """ECS tells of it for a while."""
    account = TheirAccount({**SERVICE, "status": "INACTIVE"})

    with pytest.raises(IdentityMissing, match="Service orders of cluster own"):
        ways_past(account.read, "own/orders", PORT, "orders")
