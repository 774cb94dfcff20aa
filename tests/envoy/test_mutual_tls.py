"""Gateway to teller through two real Envoys, with certificates each got from its own secret."""

from __future__ import annotations

import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, TELLER_NAME, TELLER_TRUST, gateway, teller
from evidence.fixtures.serving import serving
from meshcert.proxy import ListenerTls, TlsMode
from tests.envoy.conftest import APPLICATION_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Mesh, Start


def _moved(container: Container, counter: str) -> int:
    return int(container.stats(f"listener.ingress_9080.ssl.{counter}").get(f"listener.ingress_9080.ssl.{counter}", 0))


def test_a_request_travels_over_mutual_tls(mesh: Mesh) -> None:
    """The teller's own counters: handshakes, none of them without a certificate; the application knows the caller."""
    edge, node = mesh.start_pair(teller())

    status, answer = request(edge.address, 9080, "/color")

    assert (status, answer.split(" ")[0]) == (200, "yellow")
    assert f"DNS={GATEWAY_NAME}" in answer
    assert _moved(node, "handshake") >= 1
    assert _moved(node, "no_certificate") == 0
    assert edge.stats("cluster.colorteller.ssl.versions.TLSv1.3")["cluster.colorteller.ssl.versions.TLSv1.3"] >= "1"


def test_one_way_tls_is_counted_as_such(mesh: Mesh) -> None:
    """Without trust on the listener clients stay anonymous."""
    one_way = ListenerTls(TlsMode.STRICT, "colorteller")
    edge, node = mesh.start_pair(teller(listeners=(teller().listeners[0]._replace(tls=one_way),)))

    request(edge.address, 9080)

    # The gateway presents its certificate only where it is asked for.
    assert _moved(node, "no_certificate") == _moved(node, "handshake") >= 1


def _client_context(mesh: Mesh, client: Material | None, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=mesh.tellers.root_pem)
    if client:
        for name, text in (("chain", client.presented_chain), ("key", client.private_key.reveal())):
            (folder / name).write_text(text)
        context.load_cert_chain(folder / "chain", folder / "key", client.passphrase.reveal())
    return context


def _handshake(container: Container, mesh: Mesh, client: Material | None, folder: Path) -> None:
    """Try a request straight at the teller; how it ends for the client does not matter."""
    try:
        with (
            socket.create_connection((container.address, 9080), 5) as plain,
            _client_context(mesh, client, folder).wrap_socket(plain, server_hostname=TELLER_NAME) as encrypted,
        ):
            # In TLS 1.3 a client learns that it was refused when it reads.
            encrypted.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b"200" not in encrypted.recv(100)
    except (ssl.SSLError, ConnectionError):
        pass


def test_every_refused_client_is_logged_with_the_reason(mesh: Mesh, tmp_path: Path) -> None:
    """No certificate, another hierarchy's, and a wrong name: one line each, which one counter could not tell apart."""
    _, node = mesh.start_pair(teller())
    impostor = Hierarchy(1, name="colorgateway").issue([GATEWAY_NAME])
    stranger = mesh.gateways.issue(["ledger.local"])

    for client in (None, impostor, stranger):
        _handshake(node, mesh, client, tmp_path)

    refused = eventually(lambda: len(node.events("connection-refused")) >= 3 and node.events("connection-refused"), "3")
    reasons = [event["reason"] for event in refused]
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in reasons[0]
    assert "CERTIFICATE_VERIFY_FAILED" in reasons[1]
    assert "SAN" in reasons[2]
    assert refused[2]["peer_names"] == "ledger.local"
    assert all(event["listener"] == "ingress_9080" for event in refused)
    # A good connection leaves no line.
    assert len(refused) == 3


@pytest.mark.usefixtures("mesh")
def test_both_ends_tell_of_a_backend_that_the_gateway_refuses(
    start: Start, api: SecretsApi, new_address: Callable[[], str]
) -> None:
    """The gateway, which has another root, says why; the teller, that it was refused."""
    api.publish_trust_bundle(TELLER_TRUST, Hierarchy(1).trust_bundle)
    node = start(teller())
    with CloudMap(new_address()) as cloud_map:
        cloud_map.records[TELLER_NAME] = [node.address]
        edge = start(gateway(), MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        for container in (node, edge):
            container.wait_until_healthy()

        status, _ = request(edge.address, 9080)
        refusing = eventually(lambda: edge.events("backend-refused"), "the gateway's line")
        refused = eventually(lambda: node.events("connection-refused"), "the teller's line")

    assert status == 503
    assert {line["cause"] for line in refusing} == {"unknown-issuer"}
    assert {line["cause"] for line in refused} == {"refused-by-peer"}


def test_plain_text_to_a_strict_port_is_refused_and_logged(mesh: Mesh) -> None:
    """STRICT means TLS only."""
    _, node = mesh.start_pair(teller())

    with socket.create_connection((node.address, 9080), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" not in plain.recv(100)

    eventually(lambda: any("HTTP_REQUEST" in event["reason"] for event in node.events("connection-refused")), "a line")


def test_a_permissive_listener_takes_both(mesh: Mesh) -> None:
    """While clients are being moved."""
    tls = teller().listeners[0].tls._replace(mode=TlsMode.PERMISSIVE)
    edge, node = mesh.start_pair(teller(listeners=(teller().listeners[0]._replace(tls=tls),)))

    assert request(edge.address, 9080)[0] == 200
    assert request(node.address, 9080)[0] == 200
    assert _moved(node, "handshake") >= 1


def test_log_lines_are_json_whoever_writes_them(mesh: Mesh) -> None:
    """The supervisor, the watcher and Envoy share one output."""
    _, node = mesh.start_pair(teller())

    for line in node.log.splitlines():
        assert {"at", "level", "event"} <= json.loads(line).keys()


@contextmanager
def _application(container: Container, handler: type[BaseRequestHandler]) -> Iterator[None]:
    """An application beside a container that treats every connection as ``handler`` says."""
    with serving(ThreadingTCPServer((container.address, APPLICATION_PORT), handler)):
        yield


def test_a_tcp_application_never_meets_a_client_that_was_not_verified(mesh: Mesh, start: Start, tmp_path: Path) -> None:
    """Silence, no certificate, a stranger: none reaches it. Then a good client's does, and its bytes come back."""
    accepted: list[Any] = []

    class Echo(BaseRequestHandler):
        def handle(self) -> None:
            accepted.append(self.client_address)
            self.request.sendall(b"hello ")  # speaks first, as many databases do
            while data := self.request.recv(65536):
                self.request.sendall(data)

    node = start(teller(listeners=(teller().listeners[0]._replace(protocol="tcp"),)))
    node.wait_until_healthy()
    with _application(node, Echo), socket.create_connection((node.address, 9080), 5):
        for client in (None, mesh.gateways.issue(["ledger.local"])):
            _handshake(node, mesh, client, tmp_path)
        eventually(lambda: len(node.events("connection-refused")) == 2, "both refused")
        name = "listener.ingress_9080.downstream_cx_total"
        eventually(lambda: int(node.stats(name)[name]) == 3, "the silent one accepted by Envoy")
        assert accepted == []

        sent = bytes(range(256)) * 400  # more than Envoy may hold before the application is connected
        good = _client_context(mesh, mesh.gateways.issue([GATEWAY_NAME]), tmp_path)
        with (
            socket.create_connection((node.address, 9080), 5) as plain,
            good.wrap_socket(plain, server_hostname=TELLER_NAME) as encrypted,
        ):
            encrypted.sendall(sent)
            received = b""
            while len(received) < len(sent) + 6:
                received += encrypted.recv(65536)
        assert received == b"hello " + sent
        assert len(accepted) == 1


@pytest.mark.usefixtures("mesh")
def test_many_callers_at_once_do_not_notice_a_dead_backend(start: Start, new_address: Callable[[], str]) -> None:
    """One of three addresses refuses connections: every request is repeated elsewhere, however many at a time."""
    nodes = [start(teller()) for _ in range(2)]
    for node in nodes:
        start.application(node)
        node.wait_until_healthy()
    with CloudMap(new_address()) as cloud_map:
        cloud_map.records[TELLER_NAME] = [*(node.address for node in nodes), new_address()]
        edge = start(gateway(), MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        edge.wait_until_healthy()
        eventually(lambda: request(edge.address, 9080)[0] == 200, "a first answer")

        with ThreadPoolExecutor(40) as callers:
            statuses = list(callers.map(lambda _: request(edge.address, 9080)[0], range(160)))

        assert set(statuses) == {200}
        repeated = edge.stats("cluster.colorteller.upstream_rq_retry")
        assert int(repeated["cluster.colorteller.upstream_rq_retry"]) > 3


@pytest.mark.usefixtures("mesh")
def test_a_client_cannot_send_what_only_the_proxy_knows(start: Start) -> None:
    """
    Envoy's header of an original path, and whatever an application could take for ``x-forwarded-client-cert``.

    CGI and WSGI read ``x_forwarded_client_cert`` under the same name. Other headers go through.
    """

    class Headers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps([name.lower() for name in self.headers]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    node = start(teller(listeners=(teller().listeners[0]._replace(tls=ListenerTls(TlsMode.DISABLED)),)))
    node.wait_until_healthy()
    spellings = [f"X{a}Forwarded{b}client{c}CERT" for a in "-_" for b in "-_" for c in "-_"]
    fields = [f"{name}: forged" for name in ("x-envoy-original-path", *spellings, "x-other", "x_other")]
    with _application(node, Headers), socket.create_connection((node.address, 9080), 5) as client:
        client.sendall("\r\n".join(["GET / HTTP/1.1", "Host: a", *fields, "Connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    names = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert {"x-other", "x_other"} <= set(names)
    assert "x-envoy-original-path" not in names
    assert not [name for name in names if name.replace("_", "-") == "x-forwarded-client-cert"]
