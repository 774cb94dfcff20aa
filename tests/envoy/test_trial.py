"""A new client certificate reaches Envoy only if the upstreams take it: a real gateway and real tellers."""

from __future__ import annotations

import datetime as dt
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.log import Log
from entrypoint.trial.trial import LONGEST_TRIAL_S, Trial
from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, request, serial_number
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, GATEWAY_SECRET, GATEWAY_TRUST, TELLER_NAME, gateway, teller
from meshcert.envoy import Addresses, identity_resource
from meshcert.errors import MaterialRejected
from meshcert.material import TrustBundle, join_certificates
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Mesh, Start

LARGEST_WATCHER_KIB = 45 * 1024
IDENTITY = "identity/colorgateway"
TABLE = "meshcert-color-acknowledgements"


@pytest.fixture
def cloud_map(new_address: Callable[[], str]) -> Iterator[CloudMap]:
    """Names for the gateway."""
    with CloudMap(new_address()) as running:
        yield running


@pytest.fixture
def node(mesh: Mesh, start: Start, cloud_map: CloudMap) -> Container:
    """A teller that looks at its secrets often."""
    del mesh
    container = start(teller())
    start.application(container)
    container.wait_until_healthy()
    cloud_map.records[TELLER_NAME] = [container.address]
    return container


def _edge(start: Start, cloud_map: CloudMap, protocol: str = "http", **changes: Any) -> Container:
    """A gateway that has been answered, and acknowledges."""
    backends = (gateway().backends[0]._replace(protocol=protocol),)
    container = start(
        gateway(acknowledgements=TABLE, acknowledge_every_s=300.0, backends=backends, **changes),
        MESHCERT_DNS_RESOLVER=cloud_map.resolver,
    )
    container.wait_until_healthy()
    return container


def _acknowledged(api: SecretsApi) -> dict[str, Any]:
    return dict(api.rows[-1]["secrets"]["colorgateway"]) if api.rows else {}


@pytest.mark.parametrize(("protocol", "delivery"), [("http", DeliveryMode.FILE), ("http2", DeliveryMode.SDS)])
def test_a_certificate_of_a_ca_that_the_upstream_does_not_know_waits_for_it(  # noqa: PLR0917  fixtures and a parameter
    mesh: Mesh, start: Start, api: SecretsApi, cloud_map: CloudMap, node: Container, protocol: str
) -> None:
    """The old one is served, said and logged; when the upstream trusts the new root, the next look takes it over."""
    served = mesh.gateways.issue([GATEWAY_NAME])
    api.publish(GATEWAY_SECRET, served)
    edge = _edge(start, cloud_map, protocol)
    eventually(lambda: request(edge.address, 9080)[0] == 200, "a first answer")
    newer = Hierarchy(1, name="colorgateway")
    moved = newer.issue([GATEWAY_NAME])

    api.publish(GATEWAY_SECRET, moved)

    eventually(lambda: _acknowledged(api).get("refused") == moved.version_id, "the refusal acknowledged")
    reason = "upstream colorteller: it refuses the new client certificate (unknown_ca)"
    assert reason in _acknowledged(api)["error"]
    assert _acknowledged(api)["version"] == served.version_id
    (told,) = edge.told("rotation-waits")
    assert (told["stage"], told["version"]) == ("trial", moved.version_id)
    assert reason in told["reason"]
    assert edge.served_serial_numbers() == {serial_number(served)}
    assert request(edge.address, 9080)[0] == 200
    (refused, *_) = node.told("connection-refused")
    assert int(refused["peer_serial_number"], 16) == serial_number(moved)

    both = TrustBundle(join_certificates([mesh.gateways.root_pem, newer.root_pem]))
    api.publish_trust_bundle(GATEWAY_TRUST, both)

    eventually(lambda: edge.served_serial_numbers() == {serial_number(moved)}, "taken over")
    eventually(lambda: _acknowledged(api)["version"] == moved.version_id, "acknowledged")
    assert (_acknowledged(api)["refused"], _acknowledged(api)["error"]) == ("", "")
    assert request(edge.address, 9080)[0] == 200
    assert len(edge.events("rotation-waits")) == 1


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc", "tcp"])
def test_every_refusal_of_an_envoy_is_heard(mesh: Mesh, start: Start, cloud_map: CloudMap, protocol: str) -> None:
    """Its own alert, whatever the listener speaks; a good certificate passes before and after."""
    node = start(teller(listeners=(teller().listeners[0]._replace(protocol=protocol),)))
    node.wait_until_healthy()
    cloud_map.records[TELLER_NAME] = [node.address]
    backend = gateway().backends[0]._replace(protocol=protocol)
    addresses = Addresses("", dns_resolver=cloud_map.resolver)
    tried = Trial(gateway(backends=(backend,)), addresses, lambda _: mesh.tellers.root_pem, Log("error"))
    served = identity_resource(IDENTITY, mesh.gateways.issue([GATEWAY_NAME]))
    past = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    good = mesh.gateways.issue([GATEWAY_NAME])
    bad = {
        "unknown_ca": Hierarchy(1, name="colorgateway").issue([GATEWAY_NAME]),
        "certificate_unknown": mesh.gateways.issue(["ledger.local"]),
        "certificate_expired": mesh.gateways.issue([GATEWAY_NAME], not_after=past),
        "unsupported_certificate": mesh.gateways.issue([GATEWAY_NAME], extended_key_usages=["serverAuth"]),
    }

    for alert, material in [("", good), *bad.items(), ("", good)]:
        try:
            tried.refuse_if_upstreams_do(IDENTITY, "v", identity_resource(IDENTITY, material), served)
            told = ""
        except MaterialRejected as rejected:
            told = rejected.faults[0].problem
        assert told == (f"it refuses the new client certificate ({alert})" if alert else "")


def test_what_the_upstream_accepts_is_taken_over_without_a_request(
    mesh: Mesh, start: Start, api: SecretsApi, cloud_map: CloudMap, node: Container
) -> None:
    """The application never hears of the trial, and nothing is refused."""
    edge = _edge(start, cloud_map)
    newer = mesh.gateways.issue([GATEWAY_NAME])

    api.publish(GATEWAY_SECRET, newer)

    eventually(lambda: edge.served_serial_numbers() == {serial_number(newer)}, "taken over")
    (tried,) = edge.told("certificate-tried")
    assert (tried["upstreams"], tried["undecided"], tried["version"]) == (1, {}, newer.version_id)
    assert int(node.stats("http.ingress_9080_tls")["http.ingress_9080_tls.downstream_cx_http2_total"]) == 1
    assert int(node.stats("http.ingress_9080_tls")["http.ingress_9080_tls.downstream_rq_total"]) == 0
    assert node.events("connection-refused") == []


@pytest.mark.parametrize("names", [[], ["127.0.0.1"]], ids=["no address", "nobody listens"])
def test_an_upstream_that_cannot_be_reached_keeps_no_certificate_from_envoy(
    mesh: Mesh, start: Start, api: SecretsApi, cloud_map: CloudMap, names: list[str]
) -> None:
    """Within the trial's two seconds."""
    cloud_map.records[TELLER_NAME] = names
    edge = _edge(start, cloud_map)
    newer = mesh.gateways.issue([GATEWAY_NAME])

    api.publish(GATEWAY_SECRET, newer)

    eventually(lambda: edge.served_serial_numbers() == {serial_number(newer)}, "taken over", within_s=5.0)
    (tried,) = edge.told("certificate-tried")
    assert "it cannot be reached" in tried["undecided"]["colorteller"]


def test_an_upstream_that_trusts_neither_certificate_keeps_none_from_envoy(
    mesh: Mesh, start: Start, api: SecretsApi, cloud_map: CloudMap, node: Container
) -> None:
    """It is broken already; a new certificate may be what mends it."""
    edge = _edge(start, cloud_map)
    stranger = Hierarchy(1, name="colorgateway")
    api.publish_trust_bundle(GATEWAY_TRUST, stranger.trust_bundle)
    version = "sds.trust/colorgateway.version_text"
    eventually(lambda: node.stats(version)[version] == stranger.trust_bundle.version_id, "the upstream is misled")
    newer = mesh.gateways.issue([GATEWAY_NAME])

    api.publish(GATEWAY_SECRET, newer)

    eventually(lambda: edge.served_serial_numbers() == {serial_number(newer)}, "taken over")
    (tried,) = edge.told("certificate-tried")
    assert tried["undecided"]["colorteller"].count("unknown_ca") == 2


def test_a_container_starts_with_a_certificate_that_its_upstream_refuses(
    mesh: Mesh, start: Start, api: SecretsApi, cloud_map: CloudMap, node: Container
) -> None:
    """A start does not depend on others, and there is no older certificate to stay with."""
    del mesh
    stranger = Hierarchy(1, name="colorgateway").issue([GATEWAY_NAME])
    api.publish(GATEWAY_SECRET, stranger)

    edge = _edge(start, cloud_map)

    assert edge.served_serial_numbers() == {serial_number(stranger)}
    assert node.events("connection-refused") == edge.events("certificate-tried") == []


def test_a_trial_is_quick_and_small(
    mesh: Mesh, start: Start, api: SecretsApi, cloud_map: CloudMap, node: Container
) -> None:
    """Ten in a row: a trial is a handshake, and leaves nothing behind."""
    del node
    edge = _edge(start, cloud_map, poll_interval_s=0.05)
    watcher = Path(f"/proc/{edge.children()['watcher']}")
    descriptors = []
    began = time.monotonic()
    for _ in range(10):
        newer = mesh.gateways.issue([GATEWAY_NAME])
        api.publish(GATEWAY_SECRET, newer)
        served = {serial_number(newer)}
        eventually(lambda served=served: edge.served_serial_numbers() == served, "taken over")  # type: ignore[misc]  # a default mypy cannot infer
        descriptors.append(len(list((watcher / "fd").iterdir())))

    assert time.monotonic() - began < 10 * LONGEST_TRIAL_S
    assert [event["undecided"] for event in edge.told("certificate-tried", 10)] == [{}] * 10
    assert edge.children()["watcher"] == int(watcher.name)
    assert descriptors[-1] <= descriptors[1] + 1
    (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", (watcher / "status").read_text())
    assert int(resident) <= LARGEST_WATCHER_KIB
