"""What reaches the application of an attached service past its Envoy: what AWS is asked, and the judgement, pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from botocore import xform_name

from meshcert.aws.ecs.deployments import primary
from meshcert.aws.errors import aws_errors
from meshcert.errors import AccessDenied, IdentityMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

AWSVPC = "awsvpc"
ANY_PROTOCOL = "-1"
TCP = frozenset({"tcp", "6"})
"""By its name and by its number (IANA, "Protocol Numbers")."""
ALL_PORTS = -1
TASK_DEFINITION = "ecs:DescribeTaskDefinition"
"""
Asked only where Service Connect or VPC Lattice is, for both go by names of ports, which the task definition has.

The operator role lacks it: it knows no resource, and task definitions hold what their owners put into environments.
"""


class Read(Protocol):
    """Asks AWS something that changes nothing."""

    def __call__(self, action: str, **arguments: Any) -> Mapping[str, Any]:
        """
        AWS's answer.

        Args:
            action: By its IAM name.

        Raises:
            MeshcertError: If there is none.
        """
        ...


@dataclass(frozen=True)
class WaysPast:
    """
    What reaches an application of an attached service whose listeners are all STRICT.

    It sees what Amazon ECS registers, and no target that somebody registered by its address.

    Args:
        port: The application's own.
        registered_as: The Cloud Map service in which callers in the mesh find it.
        service: As ECS describes it.
        definition: Its task definition, if Service Connect or VPC Lattice leads to it; None if it may not be read.
        groups: The security groups of its tasks, as Amazon EC2 describes them.
        registries: Cloud Map services in which its tasks are: ARN → name.
    """

    port: int
    registered_as: str
    service: Mapping[str, Any]
    definition: Mapping[str, Any] | None
    groups: Sequence[Mapping[str, Any]]
    registries: Mapping[str, str]

    def named(self) -> Iterator[str]:
        """Each of them, by its id or name."""
        if _runs(self.service) and not _networks(self.service):
            yield f"a network mode other than {AWSVPC}"
        yield from self._rules()
        yield from self._registrations()
        if self.definition is not None:
            ports = _named_ports(self.definition)
            yield from (way for way, name in _by_name_of_port(self.service) if ports.get(name) == self.port)

    def unread(self) -> Iterator[str]:
        """What may be one of them, by its name: the task definition would say."""
        if self.definition is None:
            yield from (way for way, _ in _by_name_of_port(self.service))

    def _rules(self) -> Iterator[str]:
        for group in self.groups:
            for rule in group.get("IpPermissions", ()):
                if takes_port(rule, self.port) and (sources := ", ".join(_sources(rule))):
                    yield f"{group['GroupId']} admits {sources}"

    def _registrations(self) -> Iterator[str]:
        for balancer in _everywhere(self.service, "loadBalancers"):
            if balancer.get("containerPort") == self.port:
                yield f"target group {balancer.get('targetGroupArn') or balancer.get('loadBalancerName')}"
        for registry in _everywhere(self.service, "serviceRegistries"):
            name, ports = (
                self.registries[registry["registryArn"]],
                (registry.get("port"), registry.get("containerPort")),
            )
            if self.port in ports or name != self.registered_as:
                yield f"Cloud Map service {name}"


def takes_port(rule: Mapping[str, Any], port: int) -> bool:
    """Whether a rule of a security group, as Amazon EC2 describes it, is of a TCP port."""
    if rule["IpProtocol"] == ANY_PROTOCOL:
        return True
    if rule["IpProtocol"] not in TCP:
        return False
    first, last = rule.get("FromPort", ALL_PORTS), rule.get("ToPort", ALL_PORTS)
    return first == ALL_PORTS or bool(first <= port <= last)


def close(port: int) -> str:
    """What to do about ways to an application's own port."""
    return f"Take these away: port {port} is the application's own, and takes plain text from whoever reaches it"


def described_at(read: Read, place: str) -> Mapping[str, Any]:
    """
    An ECS service as ECS describes it.

    Args:
        place: ``CLUSTER/SERVICE``.

    Raises:
        IdentityMissing: If there is none.
        MeshcertError: If AWS does not say.
    """
    cluster, _, name = place.partition("/")
    for service in read("ecs:DescribeServices", cluster=cluster, services=[name])["services"]:
        if service["status"] != "INACTIVE":
            found: Mapping[str, Any] = service
            return found
    raise IdentityMissing(f"Service {name} of cluster {cluster}", "Deploy it")


def ways_past(read: Read, place: str, port: int, registered_as: str) -> WaysPast:
    """
    What AWS says of the ways to an application: two calls, one for each Cloud Map service, one for names of ports.

    Args:
        place: ``CLUSTER/SERVICE``.
        port: The application's own.
        registered_as: The Cloud Map service in which callers in the mesh find it.

    Raises:
        IdentityMissing: If there is no such service.
        MeshcertError: If AWS does not say.
    """
    service = described_at(read, place)
    groups = list(dict.fromkeys(group for each in _networks(service) for group in each.get("securityGroups", ())))
    registries = [each["registryArn"] for each in _everywhere(service, "serviceRegistries")]
    return WaysPast(
        port,
        registered_as,
        service,
        _definition(read, service),
        read("ec2:DescribeSecurityGroups", GroupIds=groups)["SecurityGroups"] if groups else (),
        {
            arn: read("servicediscovery:GetService", Id=_asked_for(arn, service))["Service"]["Name"]
            for arn in registries
        },
    )


def _asked_for(registry: str, service: Mapping[str, Any]) -> str:
    """The id of a Cloud Map service; its ARN where it is another account's, in a namespace that that one shares."""
    owner, own = registry.split(":")[4:5], str(service.get("serviceArn", "")).split(":")[4:5]
    return registry if owner and owner != own else registry.rpartition("/")[2]


class AskedWaysPast:
    """
    :func:`ways_past` by boto3, for several threads.

    Args:
        client: Makes the client of a service; one of each is made, when it is needed.
    """

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._make_client = client
        self._clients: dict[str, Any] = {}
        self._lock = Lock()

    def __call__(self, place: str, port: int, registered_as: str) -> WaysPast:
        """See :func:`ways_past`."""
        return ways_past(partial(self._read, place), place, port, registered_as)

    def _read(self, place: str, action: str, **arguments: Any) -> Mapping[str, Any]:
        service, _, operation = action.partition(":")
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make_client(service)
            client = self._clients[service]
        with aws_errors(action, place):
            answer: Mapping[str, Any] = getattr(client, xform_name(operation))(**arguments)
        return answer


def _everywhere(service: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """What a service has under a key, and its task sets: CODE_DEPLOY and EXTERNAL have it there."""
    found: list[Mapping[str, Any]] = []
    for part in (service, *service.get("taskSets", ())):
        found += [each for each in part.get(key, ()) if each not in found]
    return found


def _networks(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = (service, *service.get("taskSets", ()))
    found = (part.get("networkConfiguration", {}).get("awsvpcConfiguration") for part in parts)
    return [each for each in found if each]


def _definition(read: Read, service: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not list(_by_name_of_port(service)):
        return {}
    try:
        found: Mapping[str, Any] = read(TASK_DEFINITION, taskDefinition=service["taskDefinition"])["taskDefinition"]
    except AccessDenied:
        return None
    return found


def _runs(service: Mapping[str, Any]) -> bool:
    """Whether it has a deployment or a task set; with the controller EXTERNAL it may have neither, and no network."""
    return bool(service.get("deployments") or service.get("taskSets"))


def _by_name_of_port(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What leads to a port by the name that the task definition gives it, and that name."""
    deployment = primary(service)
    for offered in deployment.get("serviceConnectConfiguration", {}).get("services", ()):
        yield f"Service Connect's {offered.get('discoveryName') or offered['portName']}", offered["portName"]
    for lattice in deployment.get("vpcLatticeConfigurations", ()):
        yield f"target group {lattice['targetGroupArn']}", lattice["portName"]


def _named_ports(definition: Mapping[str, Any]) -> dict[str, int]:
    return {
        mapping["name"]: mapping["containerPort"]
        for container in definition.get("containerDefinitions", ())
        for mapping in container.get("portMappings", ())
        if mapping.get("name")
    }


def _sources(rule: Mapping[str, Any]) -> Iterator[str]:
    kinds = (
        *(("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")),
        *(("UserIdGroupPairs", "GroupId"), ("PrefixListIds", "PrefixListId")),
    )
    for kind, name in kinds:
        yield from (str(each.get(name, "a source without a name")) for each in rule.get(kind, ()))
