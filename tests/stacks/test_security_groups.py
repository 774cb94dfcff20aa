"""Security groups: a way for every declared connection, and none besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.mesh import proxy_settings, read_mesh
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.security_groups import NETWORK, OUTSIDE, SecurityGroups, Way
from tests.stacks.synthesis import ROOT, synthesise
from tests.stacks.test_sizes import mesh_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.mesh import Mesh

EGRESS = "services.colorteller.application.egress"
NAMED: list[dict[str, Any]] = [
    {"cidr": "10.20.0.0/16", "ports": [5432, 5433]},
    {"cidr": "192.0.2.7/32", "ports": [53], "protocol": "udp"},
    {"prefix_list": "pl-0123456789abcdef0", "ports": [6379]},
    {"security_group": "sg-0123456789abcdef0", "ports": [9092]},
]
MESHES: dict[str, Callable[[], bytes]] = {
    "mesh.yaml": (ROOT / "mesh.yaml").read_bytes,
    "examples/color/one-way.yaml": (ROOT / "examples" / "color" / "one-way.yaml").read_bytes,
    "one gateway, three nodes": lambda: yaml.safe_dump(mesh_of(["gateway", "one", "two", "three"])).encode(),
    "endpoints": lambda: changed(("network.egress", "endpoints")),
    "nothing else": lambda: changed((EGRESS, [])),
    "endpoints and nothing else": lambda: changed((EGRESS, []), ("network.egress", "endpoints")),
    "what is named": lambda: changed((EGRESS, NAMED)),
    "endpoints and what is named": lambda: changed((EGRESS, NAMED), ("network.egress", "endpoints")),
}
HTTPS = 443


@pytest.fixture(scope="module", params=MESHES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mesh, SecurityGroups]:
    """A mesh, and the security groups that are made of it."""
    folder = tmp_path_factory.mktemp("mesh")
    file, text = folder / "mesh.yaml", MESHES[request.param]()
    file.write_bytes(text)
    mesh = read_mesh(text).mesh
    assert mesh is not None
    return mesh, SecurityGroups(synthesise(folder / "out", mesh=str(file)))


def declared(mesh: Mesh, groups: SecurityGroups) -> set[Way]:
    """The connections that the mesh file asks for, and those that every task needs."""
    ways = set()
    for name, service in mesh.services.items():
        settings = proxy_settings(mesh, name)
        for backend in settings.backends:
            ways.add(Way(f"service {name}", f"service {mesh.service_of(backend.name)}", backend.port))
        for listener in settings.listeners if service.load_balancer else ():
            ways.add(Way(NETWORK, f"balancer {name}", listener.port))
            ways.add(Way(f"balancer {name}", f"service {name}", listener.port))
        for endpoint in groups.endpoints:
            ways.add(Way(f"service {name}", f"endpoint {endpoint}", HTTPS))
        if groups.has_way_out:
            ways.add(Way(f"service {name}", OUTSIDE, HTTPS))
        for rule in (service.application.egress if service.application else None) or ():
            hosts = rule.cidr or rule.prefix_list or rule.security_group
            ways |= {Way(f"service {name}", hosts, port) for port in rule.ports if rule.protocol == "tcp"}
    return ways


def open_services(mesh: Mesh) -> list[str]:
    """Names of the services whose egress the mesh file leaves open; a gateway has no application."""
    return [
        f"service {name}"
        for name, service in mesh.services.items()
        if service.application is None or service.application.egress is None
    ]


def tasks_without_egress_reach_any_port_outside(mesh: Mesh, groups: SecurityGroups) -> set[Way]:
    """``meshcert check`` tells of it where there is an application."""
    ports = groups.ports - {HTTPS} if groups.has_way_out else frozenset()
    elsewhere = {
        Way(name, hosts, port) for name in open_services(mesh) for hosts in groups.elsewhere for port in groups.ports
    }
    return elsewhere | {Way(name, OUTSIDE, port) for name in open_services(mesh) for port in ports}


def tasks_reach_aws_apis_wherever_they_are(mesh: Mesh, groups: SecurityGroups) -> set[Way]:
    """Port 443 is open to all addresses, those of the hosts that the mesh file names among them; routes narrow it."""
    return {Way(f"service {name}", hosts, HTTPS) for name in mesh.services for hosts in groups.elsewhere}


def tasks_are_clients_of_every_balancer(mesh: Mesh, groups: SecurityGroups) -> set[Way]:
    """The balancer admits the whole network, and tasks are in it; what they may there, Envoy decides."""
    listening = {
        (way.target, way.port) for way in groups.ways() if way.source == NETWORK and way.target.startswith("balancer ")
    }
    return {Way(name, balancer, port) for name in open_services(mesh) for balancer, port in listening}


def everybody_inside_reaches_the_endpoints(_mesh: Mesh, groups: SecurityGroups) -> set[Way]:
    """The CDK opens an interface endpoint to the network's addresses; who may what there, IAM decides."""
    return {Way(NETWORK, f"endpoint {name}", HTTPS) for name in groups.endpoints}


# What today's templates let through besides, and why. A way that closes must leave this table too.
KNOWN_EXCEPTIONS = (
    tasks_without_egress_reach_any_port_outside,
    tasks_reach_aws_apis_wherever_they_are,
    tasks_are_clients_of_every_balancer,
    everybody_inside_reaches_the_endpoints,
)


def test_there_is_a_way_for_everything_that_is_declared(pair: tuple[Mesh, SecurityGroups]) -> None:
    """Caller to callee, clients to load balancer, load balancer to gateway, tasks to AWS's APIs."""
    mesh, groups = pair

    assert declared(mesh, groups) - groups.ways() == set()


def test_there_is_no_way_besides(pair: tuple[Mesh, SecurityGroups]) -> None:
    """But for the known exceptions, each of them entirely."""
    mesh, groups = pair
    exceptions = {way for exception in KNOWN_EXCEPTIONS for way in exception(mesh, groups)}

    assert groups.ways() - declared(mesh, groups) == exceptions


def test_no_way_leads_in_from_outside(pair: tuple[Mesh, SecurityGroups]) -> None:
    """Whatever its port; the load balancer is internal, and no task has a public address."""
    _, groups = pair

    assert {way for way in groups.ways() if way.source == OUTSIDE} == set()


def test_names_resolve_without_a_rule(pair: tuple[Mesh, SecurityGroups]) -> None:
    """Security groups do not filter Amazon's DNS (VPC guide, "Security groups"); the network has it switched on."""
    _, groups = pair

    switches = {name: groups.vpc.properties[name] for name in ("EnableDnsSupport", "EnableDnsHostnames")}
    assert switches == {"EnableDnsSupport": True, "EnableDnsHostnames": True}


def test_every_group_belongs_to_one_thing(pair: tuple[Mesh, SecurityGroups]) -> None:
    """So that a rule for one of them is a rule for nobody else."""
    _, groups = pair

    members: dict[str, Any] = groups.members
    assert len(set(members.values())) == len(members)
