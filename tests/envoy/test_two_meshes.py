"""Two meshes that federate both ways (``examples/federation/``), by the bundles that they publish: who gets through."""

from __future__ import annotations

import datetime as dt
import http.client
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually
from evidence.fixtures.pki import Hierarchy
from meshcert import naming
from meshcert.federation.bundle_document import read_bundle
from meshcert.federation.own_bundle import next_bundle
from meshcert.mesh import load_mesh, proxy_settings
from meshcert.proxy import RotationMode
from tests.envoy.mutual_client import MutualClient, is_admitted
from tests.stacks.synthesis import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.mesh import Mesh
    from tests.envoy.conftest import Start

SHOP, BANK = "shop", "bank"
NODES = {SHOP: "orders", BANK: "payments"}
PARTNERS = {SHOP: BANK, BANK: SHOP}
EGRESS, GATEWAY_PORT = 15001, 8443


class Side(NamedTuple):
    """
    One of the meshes.

    Args:
        hierarchy: Its CA.
        node: The container of its node, which calls the partner.
        gateway: That of its gateway, which the partner calls.
    """

    hierarchy: Hierarchy
    node: Container
    gateway: Container


@pytest.fixture(scope="module")
def sides(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[dict[str, Side]]:
    """Both, with what each has published in the other's secret; no root is in both."""
    start, api = begin
    meshes = {name: load_mesh(ROOT / f"examples/federation/{name}.yaml") for name in PARTNERS}
    hierarchies = {name: Hierarchy(1, name=name) for name in PARTNERS}
    for name, mesh in meshes.items():
        _publish(api, mesh, hierarchies[name])
        partner = PARTNERS[name]
        own = next_bundle(None, [hierarchies[name].root_pem], 300, dt.datetime.now(dt.UTC))
        read = read_bundle(own.document, mesh.about.trust_domain, dt.datetime.now(dt.UTC)).bundle
        api.put(naming.foreign_bundle_secret(partner, mesh.about.trust_domain), read.version_id, read.dumps())
    with ExitStack() as open_ones:
        names = open_ones.enter_context(CloudMap(new_address()))
        nodes = {name: _started(start, mesh, NODES[name], names) for name, mesh in meshes.items()}
        for name, node in nodes.items():
            start.application(node)
            names.records[f"{NODES[name]}.{name}.internal"] = [node.address]
        gateways = {name: _started(start, mesh, "gateway", names) for name, mesh in meshes.items()}
        for name, gateway in gateways.items():
            names.records[f"gateway.{name}.example"] = [gateway.address]
        for container in (*nodes.values(), *gateways.values()):
            container.wait_until_healthy()
        yield {name: Side(hierarchies[name], nodes[name], gateways[name]) for name in PARTNERS}


def _publish(api: SecretsApi, mesh: Mesh, hierarchy: Hierarchy) -> None:
    for identity, declared in mesh.identities.items():
        api.publish(
            naming.identity_secret(mesh.name, identity), hierarchy.issue([str(each) for each in declared.names])
        )
    api.publish_trust_bundle(naming.trust_bundle_secret(mesh.name, mesh.name), hierarchy.trust_bundle)


def _started(start: Start, mesh: Mesh, service: str, names: CloudMap) -> Container:
    """A service's proxy as the example declares it; DNS alone knows its backends, and no other container is ready."""
    settings = proxy_settings(mesh, service)
    settings = settings._replace(
        backends=tuple(each._replace(cloud_map_service="") for each in settings.backends),
        cloud_map_namespace="",
        awaits_application=False,
        acknowledgements="",
        rotation=RotationMode.RELOAD,
    )
    return start(settings, MESHCERT_DNS_RESOLVER=names.resolver)


def _asked(node: Container, host: str) -> tuple[int, str]:
    """What the application beside a node hears about a host, by its own Envoy's egress listener."""
    with closing(http.client.HTTPConnection(node.address, EGRESS, timeout=30)) as connection:
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()


@pytest.mark.parametrize("mesh", PARTNERS)
def test_each_calls_the_other_through_its_gateway(sides: dict[str, Side], mesh: str) -> None:
    """By the name that the mesh file has for it; the partner's application learns that its own gateway has called."""
    partner = PARTNERS[mesh]

    status, told = eventually(
        lambda: (answer := _asked(sides[mesh].node, NODES[partner]))[0] == 200 and answer, "an answer"
    )

    assert status == 200
    assert f"URI=spiffe://{partner}.example/gateway" in told


@pytest.mark.parametrize("mesh", PARTNERS)
def test_a_root_that_signs_an_id_of_the_partner_is_believed_by_nobody(sides: dict[str, Side], mesh: str) -> None:
    """Neither where the ID is the one that is let in, nor where its own would be; and no other ID of its own is."""
    partner = PARTNERS[mesh]
    mine, theirs = f"spiffe://{mesh}.example", f"spiffe://{partner}.example"
    own, other = sides[mesh].hierarchy, sides[partner].hierarchy
    forged = {
        "the partner's root signs an ID of mine": other.issue([f"{mine}/{NODES[mesh]}"]),
        "my root signs the partner's ID": own.issue([f"{theirs}/{NODES[partner]}"]),
        "another workload of the partner": other.issue([f"{theirs}/gateway"]),
        "a workload of mine that is not let in": own.issue([f"{mine}/{NODES[mesh]}"]),
    }
    let_in = other.issue([f"{theirs}/{NODES[partner]}"])
    address = sides[mesh].gateway.address

    with MutualClient(address, GATEWAY_PORT, let_in) as client:
        assert client.answered()
    assert {what for what, leaf in forged.items() if is_admitted(address, GATEWAY_PORT, leaf)} == set()
    lines = sides[mesh].gateway.told("connection-refused", times=len(forged))
    assert {each["cause"] for each in lines} == {"unknown-issuer", "wrong-name", "other-trust-domain"}
