"""The SPIFFE Workload API of a running container, asked by SPIFFE's own library for Python, beside a real Envoy."""

from __future__ import annotations

import os
import signal
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from spiffe import TrustDomain, WorkloadApiClient
from spiffe.workloadapi.errors import FetchJwtSvidError, FetchX509SvidError

from evidence.fixtures.container import Container, assert_ends_with, eventually, serial_number
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_SECRET, PORT, TELLER_SECRET, TELLER_TRUST, teller
from meshcert.contract import exit_codes
from meshcert.material import TrustBundle, join_certificates
from meshcert.material.document import PLACEHOLDER
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.proxy import DeliveryMode, Listener, ListenerTls, SecretReference, TlsMode
from meshcert.san import Uri
from meshcert.tls_sources import FederatedTrust
from tests.envoy.conftest import Start, both_deliveries
from tests.envoy.workload_application import (
    DOMAIN,
    GATEWAY_ID,
    TELLER_ID,
    answering,
    called,
    endpoint,
    roots_in,
    serial_number_in,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from meshcert.proxy import ProxySettings

LARGEST_KIB = 45 * 1024


def _settings(name: str = "colorteller", secret: str = TELLER_SECRET, spiffe_id: str = TELLER_ID) -> ProxySettings:
    """A node with a SPIFFE ID, which admits the gateway's and trusts its own trust domain."""
    tls = ListenerTls(TlsMode.STRICT, name, "colorteller", (Uri(GATEWAY_ID),))
    return teller(
        name=name,
        listeners=(Listener(PORT, "http", tls),),
        identities={name: SecretReference(secret, (Uri(spiffe_id),))},
        trust_bundles={"colorteller": SecretReference(TELLER_TRUST)},
        trust_domain_bundles=("colorteller",),
    )


@pytest.fixture
def spiffe(hierarchy: Hierarchy, api: SecretsApi) -> Material:
    """What is published for the teller, whose certificate has a SPIFFE ID."""
    material = hierarchy.issue([TELLER_ID])
    api.publish(TELLER_SECRET, material)
    api.publish_trust_bundle(TELLER_TRUST, hierarchy.trust_bundle)
    return material


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Callable[..., Container]:
    """Starts a container whose application may ask for its SVIDs, with a folder for the socket."""

    def of(settings: ProxySettings, **environment: str) -> Container:
        folder = tmp_path / f"api-{settings.name}"
        folder.mkdir()
        users = {"MESHCERT_WORKLOAD_API_USERS": f"1,{os.getuid()}", **environment}
        return start(settings, MESHCERT_WORKLOAD_API_SOCKET=f"{folder}/workload.sock", **users)

    return of


@pytest.fixture
def node(begin: Callable[..., Container], spiffe: Material) -> Container:
    """A teller that serves its first material to Envoy and to the application."""
    del spiffe
    container = begin(_settings())
    container.wait_until_healthy()
    return container


@contextmanager
def _client(container: Container) -> Iterator[WorkloadApiClient]:
    with WorkloadApiClient(endpoint(container)) as client:
        yield client


def _kill_watcher(container: Container) -> None:
    old = container.children()["watcher"]
    os.kill(old, signal.SIGKILL)
    eventually(lambda: container.children().get("watcher") not in {None, old}, "a new watcher")


@both_deliveries
def test_an_application_gets_the_identity_that_envoy_serves(
    node: Container, spiffe: Material, hierarchy: Hierarchy
) -> None:
    """The leaf and its issuers without the root, the key of the leaf, and the root as the bundle."""
    with _client(node) as client:
        svid = client.fetch_x509_svid(timeout=10)
        bundles = client.fetch_x509_bundles(timeout=10)

    assert str(svid.spiffe_id) == TELLER_ID
    presented = x509.load_pem_x509_certificates(spiffe.presented_chain.encode())
    assert svid.cert_chain == presented
    plain = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    assert svid.private_key.public_key().public_bytes(*plain) == presented[0].public_key().public_bytes(*plain)
    bundle = bundles.get_bundle_for_trust_domain(TrustDomain(DOMAIN))
    assert bundle
    assert bundle.x509_authorities == set(x509.load_pem_x509_certificates(hierarchy.root_pem.encode()))
    assert node.serves(spiffe)


@both_deliveries
def test_a_stream_brings_every_rotation_and_outlives_a_watcher(
    node: Container, api: SecretsApi, hierarchy: Hierarchy
) -> None:
    """Three rotations; then the watcher dies, the application comes back by itself, and the fourth arrives too."""
    with source_of(node) as source:
        for number in range(4):
            if number == 3:
                _kill_watcher(node)
            newer = hierarchy.issue([TELLER_ID])
            api.publish(TELLER_SECRET, newer)
            eventually(lambda newer=newer: serial_number_in(source) == serial_number(newer), f"rotation {number}")  # type: ignore[misc]  # a default mypy cannot infer

        assert not source.is_closed()
        assert node.serves(newer)


def test_a_new_root_reaches_the_application(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """While one CA takes the place of another, both are in the bundle."""
    other = Hierarchy(2)
    both = join_certificates([hierarchy.root_pem, other.root_pem])
    expected = {root.serial_number for root in x509.load_pem_x509_certificates(both.encode())}
    with source_of(node) as source:
        before = roots_in(source)

        api.publish_trust_bundle(TELLER_TRUST, TrustBundle(both))

        eventually(lambda: roots_in(source) == expected, "both roots")
    assert len(before) == 1


@both_deliveries
def test_an_application_gets_the_bundles_of_foreign_domains_that_its_proxy_admits(
    begin: Callable[..., Container], api: SecretsApi, spiffe: Material
) -> None:
    """With its identity, with the bundles, and when one changes."""
    del spiffe
    partner, newer = Hierarchy(1), Hierarchy(2)
    secret = "meshcert/color/federation/partner.example"
    api.put(secret, "v1", ForeignBundle("partner.example", partner.root_pem, 1).dumps())
    trust = FederatedTrust("colorteller", DOMAIN, ("partner.example",))
    names = (Uri(GATEWAY_ID), Uri("spiffe://partner.example/web"))
    listener = Listener(PORT, "http", ListenerTls(TlsMode.STRICT, "colorteller", trust, names))
    settings = _settings()._replace(listeners=(listener,), foreign_bundles={"partner.example": SecretReference(secret)})
    container = begin(settings)
    container.wait_until_healthy()

    with _client(container) as client, source_of(container) as source:
        bundles = client.fetch_x509_bundles(timeout=10)
        assert {str(each.trust_domain) for each in bundles.bundles} == {DOMAIN, "partner.example"}
        assert roots_in(source, "partner.example") == _serials(partner)
        assert len(roots_in(source)) == 1

        api.put(secret, "v2", ForeignBundle("partner.example", newer.root_pem, 2).dumps())
        eventually(lambda: roots_in(source, "partner.example") == _serials(newer), "the newer bundle")


def _serials(hierarchy: Hierarchy) -> set[int]:
    return {root.serial_number for root in x509.load_pem_x509_certificates(hierarchy.root_pem.encode())}


@both_deliveries
def test_what_the_checks_refuse_is_never_sent(
    node: Container, spiffe: Material, api: SecretsApi, hierarchy: Hierarchy
) -> None:
    """Neither a certificate with two URIs, which Envoy would take, nor the key of another: the last good one stays."""
    other = hierarchy.issue([TELLER_ID])
    seen: list[int] = []
    with source_of(node) as source:
        source.subscribe_for_updates(lambda: seen.append(serial_number_in(source)))
        for number, bad in enumerate(
            (
                hierarchy.issue([TELLER_ID, f"{TELLER_ID}/second"]),
                hierarchy.issue([TELLER_ID])._replace(private_key=other.private_key, passphrase=other.passphrase),
            )
        ):
            api.publish(TELLER_SECRET, bad)
            node.told("rotation-waits", number + 1)
        assert serial_number_in(source) == serial_number(spiffe)

        good = hierarchy.issue([TELLER_ID])
        api.publish(TELLER_SECRET, good)
        eventually(lambda: seen == [serial_number(good)], "the good one, and nothing before it")
        assert "X509-SVID section 2" in node.told("rotation-waits")[0]["reason"]


def test_two_applications_talk_mutual_tls_beside_and_through_envoy(
    node: Container, begin: Callable[..., Container], api: SecretsApi, hierarchy: Hierarchy, start: Start
) -> None:
    """Each has its own identity from its own task; Envoy tells the called one who calls."""
    api.publish(GATEWAY_SECRET, hierarchy.issue([GATEWAY_ID]))
    edge = begin(_settings("colorgateway", GATEWAY_SECRET, GATEWAY_ID))
    start.application(node)
    edge.wait_until_healthy()

    with source_of(node) as tellers, source_of(edge) as gateways:
        address = node.address
        with answering(tellers, address) as port:
            assert called(gateways, address, port) == (TELLER_ID, GATEWAY_ID)
        eventually(lambda: not node.refuses(PORT), "the way in")
        who, text = called(gateways, node.address, PORT)

    assert who == TELLER_ID
    assert f"URI={GATEWAY_ID}" in text


def test_the_other_profiles_are_not_implemented(node: Container) -> None:
    """X.509 goes on all the same."""
    with _client(node) as client:
        with pytest.raises(FetchJwtSvidError, match="only the X509 profile is here"):
            client.fetch_jwt_svid(audience={"ledger"}, timeout=10)
        assert str(client.fetch_x509_svid(timeout=10).spiffe_id) == TELLER_ID


def test_the_socket_stands_before_the_start_is_over_and_answers_unavailable(
    begin: Callable[..., Container], api: SecretsApi, spiffe: Material
) -> None:
    """An application that comes too early is told to come again, and gets its identity then."""
    api.put(TELLER_SECRET, "v1", PLACEHOLDER)
    container = begin(_settings())
    path = Path(container.environment["MESHCERT_WORKLOAD_API_SOCKET"])
    eventually(path.exists, "the socket")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666

    def answered() -> bool:
        # Between bind and listen nobody answers, and gRPC says UNAVAILABLE for that too.
        with grpc.insecure_channel(f"unix:{path}") as channel:
            call = channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID")
            with pytest.raises(grpc.RpcError) as refusal:
                next(call(b"", metadata=(("workload.spiffe.io", "true"),), timeout=20))
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        return "no valid identity yet" in str(refusal.value.details())

    eventually(answered, "a refusal that says why")

    api.publish(TELLER_SECRET, spiffe)
    with source_of(container) as source:
        assert serial_number_in(source) == serial_number(spiffe)


def test_a_user_who_is_not_allowed_is_turned_away(begin: Callable[..., Container], spiffe: Material) -> None:
    """Though the socket's permissions would let everybody in."""
    del spiffe
    container = begin(_settings(), MESHCERT_WORKLOAD_API_USERS="12345")
    container.wait_until_healthy()

    with grpc.insecure_channel(f"unix:{container.environment['MESHCERT_WORKLOAD_API_SOCKET']}") as channel:
        call = channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID")
        with pytest.raises(grpc.RpcError) as refusal:
            next(call(b"", metadata=(("workload.spiffe.io", "true"),), timeout=5))

    assert refusal.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    (line,) = container.told("workload-api-client-refused")
    assert line["uid"] == os.getuid()


def test_a_watcher_without_aws_serves_the_application_from_files(
    node: Container, api: SecretsApi, spiffe: Material
) -> None:
    """What an earlier one wrote for Envoy is all that is needed."""
    api.fail_always("broken")
    _kill_watcher(node)

    with source_of(node) as source:
        assert serial_number_in(source) == serial_number(spiffe)


def test_a_watcher_without_aws_that_has_no_file_waits_for_it(
    start: Start, begin: Callable[..., Container], api: SecretsApi, spiffe: Material
) -> None:
    """Only Envoy has the key then, and shows it to nobody: the application is told to come again."""
    start.delivery = DeliveryMode.SDS
    node = begin(_settings())
    node.wait_until_healthy()
    api.fail_always("broken")
    _kill_watcher(node)
    node.told("svids-wait")
    with _client(node) as client, pytest.raises(FetchX509SvidError, match="no valid identity yet"):
        client.fetch_x509_svid(timeout=10)
    api.fail_always(None)

    with source_of(node) as source:
        assert serial_number_in(source) == serial_number(spiffe)


@both_deliveries
def test_the_watcher_stays_small(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """With both services, a stream that stays, and twenty rotations: at most 45 MB resident."""
    sizes = []
    with source_of(node) as source:
        for _ in range(4):
            for _ in range(5):
                newer = hierarchy.issue([TELLER_ID])
                api.publish(TELLER_SECRET, newer)
                eventually(lambda newer=newer: serial_number_in(source) == serial_number(newer), "rotated")  # type: ignore[misc]  # a default mypy cannot infer
            sizes.append(_resident_kib(node.children()["watcher"]))

    assert sizes[-1] <= LARGEST_KIB, sizes
    assert sizes[-1] - sizes[0] < 1024, sizes


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"MESHCERT_WORKLOAD_API_USERS": ""}, "MESHCERT_WORKLOAD_API_USERS"),
        ({"MESHCERT_WORKLOAD_API_SOCKET": "/nowhere/workload.sock"}, "workload-api-socket-not-bound"),
    ],
    ids=["nobody may ask", "no folder"],
)
def test_a_container_that_cannot_offer_it_ends(
    start: Start, spiffe: Material, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    """Exit code 64: an application would wait for ever."""
    del spiffe
    environment = {
        "MESHCERT_WORKLOAD_API_SOCKET": f"{tmp_path}/workload.sock",
        "MESHCERT_WORKLOAD_API_USERS": "0",
        **changes,
    }

    assert_ends_with(start(_settings(), **environment), exit_codes.SETTINGS, told)
