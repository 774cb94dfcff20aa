"""Names as the real Envoy compares them, and a mesh whose certificates carry SPIFFE IDs and nothing else."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import (
    GATEWAY_NAME,
    GATEWAY_SECRET,
    GATEWAY_TRUST,
    PORT,
    TELLER_NAME,
    TELLER_SECRET,
    gateway,
    teller,
)
from meshcert.material.certificate_facts import certificate_facts
from meshcert.proxy import SecretReference
from meshcert.san import Dns, SpiffeIdPrefix, Uri, san_of
from tests.envoy.conftest import both_deliveries
from tests.envoy.peers import ask, call, tls_context
from tests.envoy.peers_pki import PeerPki
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.proxy import ProxySettings
    from meshcert.san import AcceptedName, San
    from tests.envoy.conftest import Start

GATEWAY_ID = "spiffe://color.example/ns/edge/sa/gateway"
TELLER_ID = "spiffe://color.example/ns/back/sa/Teller_1"

COMPARED = [
    ("a.mesh.local", "a.mesh.local"),
    ("A.Mesh.Local", "a.mesh.local"),
    ("a.mesh.local", "A.MESH.local"),
    ("*.mesh.local", "a.mesh.local"),
    ("*.MESH.local", "a.mesh.local"),
    ("*.mesh.local", "b.a.mesh.local"),
    ("*.mesh.local", "mesh.local"),
    ("a.mesh.local", "*.mesh.local"),
    (GATEWAY_ID, GATEWAY_ID),
    (GATEWAY_ID.upper(), GATEWAY_ID),
    (GATEWAY_ID.replace("color", "Color"), GATEWAY_ID),
    (GATEWAY_ID + "2", GATEWAY_ID),
    (GATEWAY_ID, GATEWAY_ID.replace("gateway", "Gateway")),
    ("color.example", GATEWAY_ID),
    (GATEWAY_ID, "color.example"),
]
"""What a client carries, and what the listener demands."""
SHOP = "spiffe://color.example/ns/shop"
UNDER_SHOP = (SHOP, f"{SHOP}/cart", f"{SHOP}/cart/v1.2", f"{SHOP}/..cart", f"{SHOP}/...", f"{SHOP}/.cart")
NOT_UNDER_SHOP = (
    f"{SHOP}ping",
    f"{SHOP}.",
    f"{SHOP}/",
    f"{SHOP}//cart",
    f"{SHOP}/./cart",
    f"{SHOP}/cart/..",
    f"{SHOP}/../admin",
    f"{SHOP}/cart/",
    f"{SHOP}/cart?ns=admin",
    f"{SHOP}/cart#admin",
    f"{SHOP}/c%61rt",
    f"{SHOP}/cart:1",
    f"{SHOP}/cart\n",
    f"{SHOP}\n",
    f"{SHOP.upper()}/cart",
    f"{SHOP.replace('color', 'Color')}/cart",
    f"{SHOP.replace('color', 'co-or')}/cart",
    f"{SHOP.replace('.', 'x')}/cart",
    "spiffe://color.example/ns",
    "spiffe://color.example",
    f"spiffe://other.example/{SHOP}/cart",
    "spiffe://color.example:1/ns/shop/cart",
    "spiffe://color.example@other.example/ns/shop/cart",
    f" {SHOP}/cart",
    "color.example",
)
COLOR = "spiffe://color.example"
PREFIXED = [
    *((carried, SHOP) for carried in (*UNDER_SHOP, *NOT_UNDER_SHOP)),
    *((carried, COLOR) for carried in (SHOP, f"{COLOR}/a", COLOR, f"{COLOR}/", "spiffe://color.example.org/a")),
]
"""What a client carries, and the prefix that the listener demands."""
DEMANDED: list[AcceptedName] = list(
    dict.fromkeys([*(san_of(each) for _, each in COMPARED), *(SpiffeIdPrefix(each) for _, each in PREFIXED)])
)


class Comparing(NamedTuple):
    """
    An Envoy with one listener for each name of :data:`DEMANDED`.

    Args:
        envoy: Its container.
        clients: Signs clients that it trusts.
        own: Signs its own certificate.
    """

    envoy: Container
    clients: PeerPki
    own: Hierarchy


@pytest.fixture(scope="module")
def comparing(begin: tuple[Start, SecretsApi]) -> Comparing:
    """One Envoy for all comparisons."""
    start, api = begin
    clients, own = PeerPki("unused"), Hierarchy(2)
    api.publish(TELLER_SECRET, own.issue([TELLER_NAME]))
    api.publish_trust_bundle(GATEWAY_TRUST, clients.trust_bundle)
    (listener,) = teller().listeners
    listeners = tuple(
        listener._replace(port=PORT + number, tls=listener.tls._replace(subject_alternative_names=(demanded,)))
        for number, demanded in enumerate(DEMANDED)
    )
    envoy = start(teller(listeners=listeners))
    start.application(envoy)
    envoy.wait_until_healthy()
    return Comparing(envoy, clients, own)


@pytest.mark.parametrize(("carried", "demanded"), COMPARED)
def test_envoy_compares_names_as_we_do(comparing: Comparing, carried: str, demanded: str) -> None:
    """DNS names without regard to case, a wildcard for one label; URIs character by character."""
    assert _admits(comparing, san_of(demanded), carried) is san_of(carried).proves(san_of(demanded))


@pytest.mark.parametrize(("carried", "prefix"), PREFIXED)
def test_envoy_compares_prefixes_of_spiffe_ids_as_we_do(comparing: Comparing, carried: str, prefix: str) -> None:
    """By whole path segments, and what is no SPIFFE ID is under none."""
    demanded = SpiffeIdPrefix(prefix)

    assert _admits(comparing, demanded, carried) is san_of(carried).proves(demanded)


def test_a_prefix_covers_itself_and_what_goes_on_with_a_slash() -> None:
    """The table above holds two sides against each other; this says which answer both give."""
    covered = [carried for carried, prefix in PREFIXED if san_of(carried).proves(SpiffeIdPrefix(prefix))]

    assert covered == [*UNDER_SHOP, SHOP, f"{COLOR}/a"]


def _admits(comparing: Comparing, demanded: AcceptedName, *carried: str) -> bool:
    credential = comparing.clients.leaf(names=carried)
    client = tls_context(ssl.PROTOCOL_TLS_CLIENT, credential, comparing.own.root_pem, ssl.TLSVersion.TLSv1_3)
    return call(comparing.envoy.address, PORT + DEMANDED.index(demanded), client).answered


def _with_ids() -> tuple[ProxySettings, ProxySettings]:
    """Gateway and teller under SPIFFE IDs, and no DNS name in either certificate."""
    own: tuple[San, ...] = (Uri(TELLER_ID),)
    caller: tuple[San, ...] = (Uri(GATEWAY_ID),)
    (listener,), (backend,) = teller().listeners, gateway().backends
    assert backend.tls
    node = teller(
        identities={"colorteller": SecretReference(TELLER_SECRET, own)},
        listeners=(listener._replace(tls=listener.tls._replace(subject_alternative_names=caller)),),
    )
    edge = gateway(
        acknowledgements="meshcert-color-acknowledgements",
        identities={"colorgateway": SecretReference(GATEWAY_SECRET, caller)},
        backends=(backend._replace(tls=backend.tls._replace(subject_alternative_names=own)),),
    )
    return edge, node


@both_deliveries
def test_a_mesh_of_spiffe_ids_runs_and_rotates(start: Start, api: SecretsApi, new_address: Callable[[], str]) -> None:
    """Pre-flight, trial, Envoy's matchers and the application's header take a URI as they take a DNS name."""
    gateways, _ = publish_both(api, gateways=GATEWAY_ID, tellers=(TELLER_ID,))
    edge_settings, node_settings = _with_ids()
    with CloudMap(new_address()) as cloud_map:
        node = start(node_settings)
        start.application(node)
        cloud_map.records[TELLER_NAME] = [node.address]
        edge = start(edge_settings, MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        for container in (node, edge):
            container.wait_until_healthy()
        _, answer = eventually(lambda: (got := request(edge.address, PORT))[0] == 200 and got, "an answer")
        assert f"URI={GATEWAY_ID}" in answer

        renewed = gateways.issue([GATEWAY_ID])
        api.publish(GATEWAY_SECRET, renewed)
        eventually(lambda: edge.serves(renewed), "the renewed certificate")
        (tried,) = edge.told("certificate-tried")
        assert (tried["upstreams"], tried["undecided"]) == (1, {})
        assert request(edge.address, PORT)[0] == 200

        api.publish(GATEWAY_SECRET, gateways.issue([GATEWAY_ID + "2"]))
        eventually(lambda: _said(api).get("refused"), "a refusal")
        assert (_said(api)["serial"], _said(api)["version"]) == (
            certificate_facts(renewed.certificate).serial_number,
            renewed.version_id,
        )
        assert _said(api)["error"] == f"preflight: Certificate: it lacks the name(s) {GATEWAY_ID}"


def test_a_caller_that_lists_no_names_wants_the_host_and_refuses_a_spiffe_id_alone(
    start: Start, api: SecretsApi, new_address: Callable[[], str]
) -> None:
    """The default matcher is the host's DNS name, not the SNI nor any URI: so `meshcert check` wants the ID listed."""
    publish_both(api, gateways=GATEWAY_ID, tellers=(TELLER_ID,))
    edge_settings, node_settings = _with_ids()
    (backend,) = edge_settings.backends
    assert backend.tls
    unlisted = backend._replace(tls=backend.tls._replace(subject_alternative_names=()))
    with CloudMap(new_address()) as cloud_map:
        node = start(node_settings)
        start.application(node)
        cloud_map.records[TELLER_NAME] = [node.address]
        edge = start(edge_settings._replace(backends=(unlisted,)), MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        for container in (node, edge):
            container.wait_until_healthy()

        status, _ = request(edge.address, PORT)
        told = eventually(lambda: edge.events("backend-refused"), "the gateway's line")

    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert {line["cause"] for line in told} == {"wrong-name"}


def _said(api: SecretsApi) -> dict[str, Any]:
    return dict(api.rows[-1]["secrets"]["colorgateway"]) if api.rows else {}


def test_a_refused_clients_uris_are_in_the_log(comparing: Comparing) -> None:
    """Beside its DNS names."""
    stranger = "spiffe://color.example/stranger"
    credential = comparing.clients.leaf(names=(stranger, "stranger.local"))
    client = tls_context(ssl.PROTOCOL_TLS_CLIENT, credential, comparing.own.root_pem, ssl.TLSVersion.TLSv1_3)

    outcome = call(comparing.envoy.address, PORT + DEMANDED.index(Uri(GATEWAY_ID)), client)

    def told() -> list[dict[str, object]]:
        lines = comparing.envoy.events("connection-refused")
        return [line for line in lines if str(line["client"]).endswith(f":{outcome.port}")]

    (line,) = eventually(told, "a line about it")
    assert (line["cause"], line["peer_uris"], line["peer_names"]) == ("wrong-name", stranger, "stranger.local")


@both_deliveries
def test_a_listener_admits_peers_by_dns_name_and_by_spiffe_id_while_they_move(start: Start, api: SecretsApi) -> None:
    """Of one hierarchy: callers move one after the other, and the application is told by which name each comes."""
    clients, own = PeerPki("unused"), Hierarchy(2)
    api.publish(TELLER_SECRET, own.issue([TELLER_NAME]))
    api.publish_trust_bundle(GATEWAY_TRUST, clients.trust_bundle)
    accepted: tuple[AcceptedName, ...] = (Dns(GATEWAY_NAME), Uri(GATEWAY_ID), SpiffeIdPrefix(SHOP))
    (listener,) = teller().listeners
    node = start(teller(listeners=(listener._replace(tls=listener.tls._replace(subject_alternative_names=accepted)),)))
    start.application(node)
    node.wait_until_healthy()

    def answer(*names: str) -> str | None:
        client = tls_context(ssl.PROTOCOL_TLS_CLIENT, clients.leaf(names=names), own.root_pem, ssl.TLSVersion.TLSv1_3)
        made_up = {"x-forwarded-client-cert": "URI=spiffe://made.up/name"}
        answered = ask(node.address, PORT, client, fields=made_up)
        return answered and answered[1]

    moved = {
        (GATEWAY_NAME,): f'Subject="CN=peer";URI=;DNS={GATEWAY_NAME}',
        (GATEWAY_ID,): f'Subject="CN=peer";URI={GATEWAY_ID}',
        (GATEWAY_NAME, GATEWAY_ID): f'Subject="CN=peer";URI={GATEWAY_ID};DNS={GATEWAY_NAME}',
        (f"{SHOP}/cart",): f'Subject="CN=peer";URI={SHOP}/cart',
    }
    for names, told in moved.items():
        answered = answer(*names)
        assert answered, names
        # The listener's own certificate has no URI, so there is no By.
        assert answered.partition(";")[0].startswith("yellow Hash=")
        assert answered.partition(";")[2] == told
    for names in ((f"{GATEWAY_ID}2",), (f"{SHOP}ping",), ("shop.local",), (f"a.{GATEWAY_NAME}", f"{GATEWAY_ID}/x")):
        assert answer(*names) is None, names
