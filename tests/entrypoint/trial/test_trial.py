"""A new client certificate is tried with the upstreams it is for; tests/envoy has real ones."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.judging.memory_file import memory_file
from entrypoint.log import Log
from entrypoint.trial import connection, trial
from entrypoint.trial.addresses import addresses_of
from entrypoint.trial.connection import presented
from entrypoint.trial.trial import Trial
from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, TELLER_NAME, gateway
from meshcert.envoy import Addresses, identity_resource
from meshcert.errors import MaterialRejected, RefusedByUpstreams
from meshcert.proxy import Backend, BackendTls
from meshcert.san import Dns, san_of
from tests.envoy.peers import TlsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcert.material import Material

NAME = "identity/colorgateway"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"


class Upstream(TlsServer):
    """
    A TLS server that demands a certificate of its clients; use it as a context.

    Args:
        material: What it presents.
        roots: Whom it trusts, PEM.
        version: The only TLS version it speaks.
        behave: What it does with a connection that stands.
        at: Address and port; port 0 takes a free one.
    """

    def __init__(
        self,
        material: Material,
        roots: str,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        behave: Callable[[ssl.SSLSocket], object] = lambda connection: connection.recv(1),
        at: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        super().__init__(*at)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with memory_file(material.presented_chain) as chain, memory_file(material.private_key.reveal()) as key:
            self._context.load_cert_chain(chain, key, material.passphrase.reveal())
        self._context.minimum_version = self._context.maximum_version = version
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(cadata=roots)
        self._context.num_tickets = 0  # Envoy sends none either, before it has something else to say
        self.behave = behave
        self.connections = 0

    def speak_http2(self) -> None:
        """Choose HTTP/2 where a client offers it."""
        self._context.set_alpn_protocols(["h2"])

    def trust(self, roots: str) -> None:
        """Trust these as well."""
        self._context.load_verify_locations(cadata=roots)

    def _answer(self, plain: socket.socket) -> None:
        self.connections += 1
        with self._context.wrap_socket(plain, server_side=True) as encrypted:
            self.behave(encrypted)


class Scene:
    """Two hierarchies that trust each other, and a gateway's trial."""

    def __init__(self) -> None:
        self.gateways = Hierarchy(1, name="colorgateway")
        self.tellers = Hierarchy(2, name="colorteller")
        self.roots = self.tellers.root_pem
        self.teller = self.tellers.issue([TELLER_NAME])
        self.served = self.gateways.issue([GATEWAY_NAME])
        self.events: list[dict[str, Any]] = []
        self.cloud_map: CloudMap

    def try_with(
        self, new: Material, *ports: int, protocol: str = "http", served: bool = True, upstream: str = TELLER_NAME
    ) -> None:
        """The trial of a certificate with upstreams ``b0``, ``b1``, … that listen on these ports."""
        tls = BackendTls("colorteller", "colorgateway", (san_of(upstream),))
        backends = tuple(Backend(f"b{n}", TELLER_NAME, port, protocol, tls) for n, port in enumerate(ports))
        addresses = Addresses("", dns_resolver=self.cloud_map.resolver)
        log = Log("debug", lambda line: self.events.append(json.loads(line)))
        tried = Trial(gateway(backends=backends), addresses, lambda _: self.roots, log)
        tried.refuse_if_upstreams_do(
            NAME, new.version_id, identity_resource(NAME, new), identity_resource(NAME, self.served) if served else {}
        )

    def undecided(self) -> dict[str, str]:
        """The upstreams without a decision in the log's last line."""
        assert self.events[-1]["event"] == "certificate-tried"
        return dict(self.events[-1]["undecided"])


@pytest.fixture(scope="module")
def cloud_map() -> Iterator[CloudMap]:
    """The teller's name leads to this host."""
    with CloudMap("127.0.0.27") as running:
        yield running


@pytest.fixture
def scene(cloud_map: CloudMap) -> Scene:
    """Nobody listens yet."""
    cloud_map.records[TELLER_NAME] = ["127.0.0.1"]
    result = Scene()
    result.cloud_map = cloud_map
    return result


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_a_certificate_that_the_upstream_accepts_passes(scene: Scene, version: ssl.TLSVersion, protocol: str) -> None:
    """A server that says nothing has refused nothing, once it had its time."""
    with Upstream(scene.teller, scene.gateways.root_pem, version) as upstream:
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, protocol=protocol)

    assert (scene.events[0]["level"], scene.undecided(), upstream.connections) == ("info", {}, 1)


@pytest.mark.parametrize("behave", [lambda peer: peer.sendall(b"hello"), lambda peer: peer.unwrap()])
def test_a_server_that_speaks_or_says_good_bye_has_accepted(
    scene: Scene, behave: Callable[[ssl.SSLSocket], object]
) -> None:
    """Databases do this, and so does a proxy whose application is down."""
    with Upstream(scene.teller, scene.gateways.root_pem, behave=behave) as upstream:
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, protocol="tcp")

    assert scene.undecided() == {}


def test_with_http2_nobody_waits_in_vain(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers the connection's beginning; there is no request in it."""
    heard = []
    longest_s = 10.0
    monkeypatch.setattr(connection, "SILENCE_S", longest_s)
    monkeypatch.setattr(trial, "LONGEST_TRIAL_S", longest_s)

    def settle(peer: ssl.SSLSocket) -> None:
        heard.append(peer.recv(100))
        peer.sendall(_SETTINGS)

    with Upstream(scene.teller, scene.gateways.root_pem, behave=settle) as upstream:
        upstream.speak_http2()
        began = time.monotonic()
        for protocol in ("http", "http2", "grpc"):
            scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, protocol=protocol)

    assert time.monotonic() - began < longest_s
    assert heard == [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS] * 3


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", ["http", "grpc", "tcp"])
def test_a_certificate_that_the_upstream_refuses_is_rejected_with_its_alert(
    scene: Scene, version: ssl.TLSVersion, protocol: str
) -> None:
    """This holds in TLS 1.3 too, where the client's handshake succeeds first."""
    stranger = Hierarchy(1, name="colorgateway").issue([GATEWAY_NAME])

    with Upstream(scene.teller, scene.gateways.root_pem, version) as upstream:
        if protocol == "grpc":
            upstream.speak_http2()
            upstream.behave = lambda peer: peer.sendall(_SETTINGS)
        with pytest.raises(MaterialRejected) as rejected:
            scene.try_with(stranger, upstream.port, protocol=protocol)

    (fault,) = rejected.value.faults
    assert (fault.place, fault.problem) == ("upstream b0", "it refuses the new client certificate (unknown_ca)")
    assert upstream.connections == 2
    assert scene.events == []


def test_one_upstream_that_refuses_is_enough(scene: Scene) -> None:
    """It is named; the others accept, or cannot be reached."""
    newer = Hierarchy(1, name="colorgateway")

    with (
        Upstream(scene.teller, scene.gateways.root_pem) as behind,
        Upstream(scene.teller, scene.gateways.root_pem) as ahead,
    ):
        ahead.trust(newer.root_pem)
        with pytest.raises(MaterialRejected) as rejected:
            scene.try_with(newer.issue([GATEWAY_NAME]), ahead.port, 9, behind.port, protocol="tcp")
        assert [fault.place for fault in rejected.value.faults] == ["upstream b2"]

        behind.trust(newer.root_pem)
        scene.try_with(newer.issue([GATEWAY_NAME]), ahead.port, behind.port, protocol="tcp")

    assert scene.undecided() == {}


@pytest.mark.parametrize(
    ("hosts", "refusing"),
    [
        ("-", {"127.0.0.1"}),
        ("-+", set()),
        ("--", {"127.0.0.1", "127.0.0.2"}),
        ("-++", set()),
        ("--+", {"127.0.0.1", "127.0.0.2"}),
        ("-.", {"127.0.0.1"}),
    ],
)
def test_of_several_hosts_of_an_upstream_the_majority_decides(
    scene: Scene, cloud_map: CloudMap, hosts: str, refusing: set[str]
) -> None:
    """One that lies or is behind is one voice, one that cannot be reached (``.``) has none; who refuses is named."""
    newer = Hierarchy(1, name="colorgateway")
    addresses = [f"127.0.0.{number + 1}" for number in range(len(hosts))]
    cloud_map.records[TELLER_NAME] = addresses
    port = 0
    with ExitStack() as running:
        for address, host in zip(addresses, hosts, strict=True):
            if host != ".":
                upstream = Upstream(scene.teller, scene.gateways.root_pem, at=(address, port))
                if host == "+":
                    upstream.trust(newer.root_pem)
                port = running.enter_context(upstream).port
        # The DNS server answers in any order: whoever is asked first, the verdict is the same.
        for _ in range(3):
            with pytest.raises(RefusedByUpstreams) if refusing else nullcontext() as refused:
                scene.try_with(newer.issue([GATEWAY_NAME]), port)
            if refused:
                assert set(refused.value.hosts) == {f"b0@{address}" for address in refusing}


def test_an_upstream_that_refuses_the_served_certificate_as_well_refuses_nothing(scene: Scene) -> None:
    """Staying with what is served would help nobody; a person is told."""
    with Upstream(scene.teller, Hierarchy(1).root_pem) as upstream:
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port)

    assert scene.undecided() == {
        "b0": "it refuses it (unknown_ca), but what is served now is refused (unknown_ca)",
    }
    assert (scene.events[0]["level"], upstream.connections) == ("warning", 2)


def test_without_a_served_certificate_there_is_nothing_to_stay_with(scene: Scene) -> None:
    """Then nothing is refused."""
    with Upstream(scene.teller, Hierarchy(1).root_pem) as upstream:
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, served=False)

    assert "no key to compare with" in scene.undecided()["b0"]


def test_what_envoy_shows_of_its_material_cannot_be_presented(scene: Scene) -> None:
    """A restarted watcher may have no more than that: the key is left out."""
    resource = identity_resource(NAME, scene.served)
    assert presented(resource) == (
        scene.served.presented_chain,
        scene.served.private_key.reveal(),
        scene.served.passphrase.reveal(),
    )

    resource["tls_certificate"]["private_key"] = {"inline_string": "[redacted]"}

    assert presented(resource) is presented({}) is None


def _reset(connection: ssl.SSLSocket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def test_an_upstream_that_breaks_off_refuses_nothing(scene: Scene) -> None:
    """Without an alert, it says nothing about the certificate."""
    with Upstream(scene.teller, scene.gateways.root_pem, behave=_reset) as upstream:
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, protocol="tcp")

    assert "it breaks off" in scene.undecided()["b0"]


@pytest.mark.parametrize(
    ("carried", "demanded", "told"),
    [
        ("spiffe://color.example/Teller", "spiffe://color.example/Teller", ""),
        ("spiffe://color.example/teller", "spiffe://color.example/Teller", "its certificate has another name"),
        ("color.example", "spiffe://color.example/Teller", "its certificate has another name"),
        ("Teller.Color.local", "teller.color.local", ""),
        ("*.color.local", "teller.color.local", ""),
    ],
)
def test_an_upstream_is_known_by_the_name_that_envoy_would_know_it_by(
    scene: Scene, carried: str, demanded: str, told: str
) -> None:
    """A URI, or a DNS name in whatever case, or under a wildcard."""
    with Upstream(scene.tellers.issue([carried]), scene.gateways.root_pem) as upstream:
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, upstream=demanded)

    assert scene.undecided().get("b0", "") == told


def test_an_upstream_that_is_somebody_else_refuses_nothing(scene: Scene) -> None:
    """Another root, another name: Envoy would not talk to them, whatever they say of us."""
    other_name = scene.tellers.issue(["ledger.local"])
    other_root = Hierarchy(2, name="colorteller").issue([TELLER_NAME])

    for impostor, told in ((other_name, "another name"), (other_root, "not accepted")):
        for version in VERSIONS:
            with Upstream(impostor, Hierarchy(1).root_pem, version) as upstream:
                upstream.trust(scene.gateways.root_pem)
                scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port)
            assert told in scene.undecided()["b0"]


@pytest.mark.parametrize("fault", ["nobody listens", "no name", "plain text", "silence", "no trust bundle"])
def test_an_upstream_that_cannot_be_reached_refuses_nothing(
    scene: Scene, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hold up the trial for long, either."""
    monkeypatch.setattr(trial, "LONGEST_TRIAL_S", 0.5)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if fault == "nobody listens":
            server.close()
        elif fault == "no name":
            scene.cloud_map.records.clear()
        elif fault == "no trust bundle":
            scene.roots = ""
        elif fault == "plain text":

            def greet() -> None:
                with server.accept()[0] as plain:
                    plain.sendall(b"220 mail.local ESMTP\r\n")
                    plain.recv(1000)

            threading.Thread(target=greet).start()
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), port)

    assert set(scene.undecided()) == {"b0"}
    assert time.monotonic() - began < 10.0


def test_many_upstreams_that_do_not_answer_take_no_longer_than_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is for all of them together."""
    longest_s = 2.0
    monkeypatch.setattr(trial, "LONGEST_TRIAL_S", longest_s)
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), *[server.getsockname()[1]] * 30)

    assert time.monotonic() - began < 30 / trial.MOST_AT_ONCE * longest_s
    assert len(scene.undecided()) == 30


def test_another_address_is_tried_if_one_takes_no_connection(scene: Scene) -> None:
    """A stopped task may still be in the answer."""
    scene.cloud_map.records[TELLER_NAME] = ["127.0.0.28", "127.0.0.1"]

    with Upstream(scene.teller, scene.gateways.root_pem) as upstream:
        scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, protocol="tcp")

    assert (scene.undecided(), upstream.connections) == ({}, 1)


def test_only_upstreams_that_are_shown_the_certificate_are_asked(scene: Scene) -> None:
    """A proxy's other backends get another certificate, or none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        backends = tuple(
            Backend(f"b{n}", TELLER_NAME, port, "http", used)
            for n, used in enumerate(
                (None, *(BackendTls("colorteller", shown, (Dns(TELLER_NAME),)) for shown in ("", "other")))
            )
        )
        addresses = Addresses("", dns_resolver=scene.cloud_map.resolver)
        tried = Trial(gateway(backends=backends), addresses, lambda _: scene.roots, Log("debug", scene.events.append))  # type: ignore[arg-type]  # it stays empty
        new = identity_resource(NAME, scene.gateways.issue([GATEWAY_NAME]))
        tried.refuse_if_upstreams_do(NAME, "v", new, new)

        server.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert scene.events == []


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_trial_leaves_nothing_behind(scene: Scene) -> None:
    """No descriptor, no thread; the key is in no text."""
    stranger = Hierarchy(1).issue([GATEWAY_NAME])
    with Upstream(scene.teller, scene.gateways.root_pem) as upstream:
        descriptors, threads = _descriptors(), threading.active_count()
        for _ in range(3):
            with pytest.raises(MaterialRejected) as rejected:
                scene.try_with(stranger, upstream.port, protocol="tcp")
            scene.try_with(scene.gateways.issue([GATEWAY_NAME]), upstream.port, protocol="tcp")
        deadline = time.monotonic() + 5
        while threading.active_count() > threads and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threading.active_count() == threads
        assert abs(_descriptors() - descriptors) <= 1  # the upstream may still hold its last one

    told = f"{rejected.value}{scene.events}{presented(identity_resource(NAME, stranger))!r}"
    assert stranger.private_key.reveal()[40:80] not in told
    assert stranger.passphrase.reveal() not in told


def test_a_resolver_is_asked_for_every_address(cloud_map: CloudMap) -> None:
    """It gives all addresses that it knows."""
    cloud_map.records["many.local"] = [f"127.0.1.{n}" for n in range(1, 9)]

    assert addresses_of("many.local", cloud_map.resolver, 1.0) == [f"127.0.1.{n}" for n in range(1, 9)]


def test_without_a_resolver_the_systems_is_asked() -> None:
    """It knows this host's own name."""
    assert addresses_of("localhost", "", 1.0) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0",
        b"??" + b"\xff" * 40,
        b"??" + bytes.fromhex("8180 0001 ffff 0000 0000 00 0001 0001"),
        b"??" + bytes.fromhex("8180 0001 0001 0000 0000 00 0001 0001 00 0001 0001 00000001 0004 7f"),
        b"??" + bytes.fromhex("8183 0001 0000 0000 0000 00 0001 0001"),
        b"no" + bytes.fromhex("8180 0001 0001 0000 0000 00 0001 0001 00 0001 0001 00000001 0004 7f000001"),
    ],
    ids=["empty", "a byte", "noise", "records missing", "cut", "no such name", "another question"],
)
def test_a_bad_dns_answer_is_no_address(answer: bytes) -> None:
    """This holds whoever sent it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def reply() -> None:
            question, client = server.recvfrom(512)
            server.sendto(answer.replace(b"??", question[:2]), client)

        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(OSError, match=r"knows no address of a\.local"):
            addresses_of("a.local", f"127.0.0.1:{server.getsockname()[1]}", 2.0)
        thread.join()
