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

MESHES: dict[str, Callable[[], bytes]] = {
    "mesh.yaml": (ROOT / "mesh.yaml").read_bytes,
    "examples/color/one-way.yaml": (ROOT / "examples" / "color" / "one-way.yaml").read_bytes,
    "one gateway, three nodes": lambda: yaml.safe_dump(mesh_of(["gateway", "one", "two", "three"])).encode(),
    "endpoints": lambda: changed(("network.egress", "endpoints")),
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
    return ways


def tasks_reach_any_port_outside(groups: SecurityGroups) -> set[Way]:
    """``allow_all_outbound=True``: narrowing it by ``application.egress`` is an issue of its own."""
    ports = groups.ports - {HTTPS} if groups.has_way_out else frozenset()
    return {Way(f"service {name}", OUTSIDE, port) for name in groups.services for port in ports}


def tasks_are_clients_of_every_balancer(groups: SecurityGroups) -> set[Way]:
    """The balancer admits the whole network, and tasks are in it; what they may there, Envoy decides."""
    listening = {
        (way.target, way.port) for way in groups.ways() if way.source == NETWORK and way.target.startswith("balancer ")
    }
    return {Way(f"service {name}", balancer, port) for name in groups.services for balancer, port in listening}


def everybody_inside_reaches_the_endpoints(groups: SecurityGroups) -> set[Way]:
    """The CDK opens an interface endpoint to the network's addresses; who may what there, IAM decides."""
    return {Way(NETWORK, f"endpoint {name}", HTTPS) for name in groups.endpoints}


# What today's templates let through besides, and why. A way that closes must leave this table too.
KNOWN_EXCEPTIONS = (
    tasks_reach_any_port_outside,
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
    exceptions = {way for exception in KNOWN_EXCEPTIONS for way in exception(groups)}

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
