"""Who can connect to whom, as the security groups of the services' stack decide it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.stacks.synthesis import Resource, Templates

NETWORK, OUTSIDE = "network", "outside"
"""Any host inside the network without rules of its own, and any host outside it."""
_EVERYWHERE = "0.0.0.0/0"
# Ports that nobody declares: SSH, Envoy's admin interface, AWS's APIs.
_PROBED = frozenset({22, 443, 9901})


@dataclass(frozen=True)
class Way:
    """
    A connection that is let through.

    Args:
        source: Who connects.
        target: Who is connected to.
        port: A TCP port.
    """

    source: str
    target: str
    port: int


@dataclass(frozen=True)
class Rule:
    """
    One rule of a security group.

    Args:
        peer: The other group's logical id, or its id if the mesh has not made it; a prefix list; an address range.
        ports: The TCP ports; None means all.
    """

    peer: str
    ports: range | None

    def admits(self, port: int, group: str | None, addresses: str) -> bool:
        """True for a peer that has this group (None for none) and one of these addresses."""
        if self.ports is not None and port not in self.ports:
            return False
        if "/" in self.peer:
            return ip_network(addresses).subnet_of(ip_network(self.peer))  # type: ignore[arg-type]
        return self.peer == group


class SecurityGroups:
    """
    The security groups of a synthesised mesh.

    Args:
        templates: Of the whole mesh.
    """

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        (vpc,) = templates.resources("AWS::EC2::VPC")
        self.vpc = vpc
        self._addresses: str = vpc.properties["CidrBlock"]
        self.services = dict(self._services())
        """Logical id of each service's security group, by the service's name."""
        self.balancers = dict(self._balancers())
        """Logical id of each load balancer's security group, by the name of the service behind it."""
        self.endpoints = dict(self._endpoints())
        """Logical id of each interface endpoint's security group, by the endpoint's logical id."""
        self._groups = {
            **{f"service {name}": group for name, group in self.services.items()},
            **{f"balancer {name}": group for name, group in self.balancers.items()},
            **{f"endpoint {name}": group for name, group in self.endpoints.items()},
        }
        self._ingress = self._rules("Ingress", "SourceSecurityGroupId")
        self._egress = self._rules("Egress", "DestinationSecurityGroupId")

    @property
    def members(self) -> dict[str, str]:
        """Logical id of the security group of everything that has one, for example ``service teller``."""
        return dict(self._groups)

    @property
    def has_way_out(self) -> bool:
        """Whether there is a route to hosts outside the network."""
        return bool(self._templates.resources_if_any("AWS::EC2::NatGateway"))

    @property
    def elsewhere(self) -> frozenset[str]:
        """What services' rules let out to and the mesh has not made: address ranges, prefix lists, other groups."""
        groups = self.services.values()
        peers = {rule.peer for group in groups for rule in self._egress[group]}
        return frozenset(peers - {_EVERYWHERE, self._addresses} - set(self._groups.values()))

    @property
    def ports(self) -> frozenset[int]:
        """Every port that a rule names, and some that none does."""
        rules = [rule for of_group in (*self._ingress.values(), *self._egress.values()) for rule in of_group]
        named = {port for rule in rules if rule.ports is not None for port in (rule.ports[0], rule.ports[-1])}
        return _PROBED | named

    def ways(self) -> set[Way]:
        """Every connection that the rules of both ends and the routes let through; endpoints open none."""
        members = [member for member in self._groups if not member.startswith("endpoint ")]
        services = [member for member in members if member.startswith("service ")]
        pairs = [(source, target) for source in (*members, NETWORK, OUTSIDE) for target in self._groups]
        if self.has_way_out:
            pairs += [(member, OUTSIDE) for member in members]
        pairs += [(service, elsewhere) for service in services for elsewhere in self.elsewhere]
        return {
            Way(source, target, port)
            for source, target in pairs
            for port in self.ports
            if self._permits(self._egress, source, target, port) and self._permits(self._ingress, target, source, port)
        }

    def _permits(self, rules: Mapping[str, Sequence[Rule]], member: str, other: str, port: int) -> bool:
        """Whether one end's rules, of one direction, let the connection through; who has no group has no rules."""
        if member not in self._groups:
            return True
        peer, addresses = self._groups.get(other, other), self._addresses_of(other)
        return any(rule.admits(port, peer, addresses) for rule in rules[self._groups[member]])

    def _addresses_of(self, member: str) -> str:
        if "/" in member:
            return member
        return _EVERYWHERE if member == OUTSIDE or member in self.elsewhere else self._addresses

    def _services(self) -> Iterator[tuple[str, str]]:
        for service in self._templates.resources("AWS::ECS::Service"):
            network = service.properties["NetworkConfiguration"]["AwsvpcConfiguration"]
            assert network["AssignPublicIp"] == "DISABLED"
            yield service.properties["ServiceName"], _only_group(network["SecurityGroups"])

    def _balancers(self) -> Iterator[tuple[str, str]]:
        listeners = self._templates.resources_if_any("AWS::ElasticLoadBalancingV2::Listener")
        behind = {
            registered["TargetGroupArn"]["Ref"]: service.properties["ServiceName"]
            for service in self._templates.resources("AWS::ECS::Service")
            for registered in service.properties.get("LoadBalancers", ())
        }
        for balancer in self._templates.resources_if_any("AWS::ElasticLoadBalancingV2::LoadBalancer"):
            assert balancer.properties["Scheme"] == "internal"
            (name,) = {
                behind[action["TargetGroupArn"]["Ref"]]
                for listener in listeners
                if listener.properties["LoadBalancerArn"]["Ref"] == balancer.logical_id
                for action in listener.properties["DefaultActions"]
            }
            yield name, _only_group(balancer.properties["SecurityGroups"])

    def _endpoints(self) -> Iterator[tuple[str, str]]:
        for endpoint in self._templates.resources_if_any("AWS::EC2::VPCEndpoint"):
            if endpoint.properties["VpcEndpointType"] == "Interface":
                yield endpoint.logical_id, _only_group(endpoint.properties["SecurityGroupIds"])

    def _rules(self, direction: str, peer: str) -> dict[str, list[Rule]]:
        groups = self._templates.resources("AWS::EC2::SecurityGroup")
        rules: dict[str, list[Rule]] = {group.logical_id: [] for group in groups}
        for group in groups:
            for own in group.properties.get(f"SecurityGroup{direction}", ()):
                rules[group.logical_id] += _read(own, peer, self.vpc)
        for beside in self._templates.resources_if_any(f"AWS::EC2::SecurityGroup{direction}"):
            rules[_group_of(beside.properties["GroupId"])] += _read(beside.properties, peer, self.vpc)
        if direction == "Egress":
            # A group is made with a way out to everywhere, which its first rule takes the place of (CloudFormation
            # reference, "AWS::EC2::SecurityGroupEgress").
            for group in groups:
                if not rules[group.logical_id]:
                    rules[group.logical_id].append(Rule(_EVERYWHERE, None))
        return rules


def _read(rule: dict[str, Any], peer: str, vpc: Resource) -> list[Rule]:
    protocol = str(rule["IpProtocol"])
    if protocol not in {"tcp", "-1"}:
        return []
    ports = None if protocol == "-1" else range(int(rule["FromPort"]), int(rule["ToPort"]) + 1)
    if peer in rule:
        return [Rule(_group_of(rule[peer]), ports)]
    if list_id := rule.get("DestinationPrefixListId"):
        return [Rule(list_id, ports)]
    addresses = rule["CidrIp"]
    if isinstance(addresses, dict):
        assert addresses == {"Fn::GetAtt": [vpc.logical_id, "CidrBlock"]}
        addresses = vpc.properties["CidrBlock"]
    return [Rule(addresses, ports)]


def _group_of(reference: dict[str, Any] | str) -> str:
    if isinstance(reference, str):  # another stack's group, by its id
        return reference
    logical_id, attribute = reference["Fn::GetAtt"]
    assert attribute == "GroupId"
    return str(logical_id)


def _only_group(references: list[dict[str, Any]]) -> str:
    (reference,) = references
    return _group_of(reference)
