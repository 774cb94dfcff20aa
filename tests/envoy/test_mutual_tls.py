"""Gateway to teller through two real Envoys, with certificates each got from its own secret."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.proxy import ListenerTls, TlsMode
from tests.envoy.container import Container, eventually, request
from tests.pki import Hierarchy
from tests.proxies import GATEWAY_NAME, TELLER_NAME, teller

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.material import Material
    from tests.envoy.conftest import Mesh


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
    edge, node = mesh.start_pair(teller(listeners=(replace(teller().listeners[0], tls=one_way),)))

    request(edge.address, 9080)

    # The gateway presents its certificate only where it is asked for.
    assert _moved(node, "no_certificate") == _moved(node, "handshake") >= 1


def _handshake(container: Container, mesh: Mesh, client: Material | None, folder: Path) -> None:
    """Try a request straight at the teller; how it ends for the client does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=mesh.tellers.root_pem)
    if client:
        for name, text in (("chain", client.presented_chain), ("key", client.private_key.reveal())):
            (folder / name).write_text(text)
        context.load_cert_chain(folder / "chain", folder / "key", client.passphrase.reveal())
    try:
        with (
            socket.create_connection((container.address, 9080), 5) as plain,
            context.wrap_socket(plain, server_hostname=TELLER_NAME) as encrypted,
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


def test_plain_text_to_a_strict_port_is_refused_and_logged(mesh: Mesh) -> None:
    """STRICT means TLS only."""
    _, node = mesh.start_pair(teller())

    with socket.create_connection((node.address, 9080), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" not in plain.recv(100)

    eventually(lambda: any("HTTP_REQUEST" in event["reason"] for event in node.events("connection-refused")), "a line")


def test_a_permissive_listener_takes_both(mesh: Mesh) -> None:
    """While clients are being moved."""
    tls = replace(teller().listeners[0].tls, mode=TlsMode.PERMISSIVE)
    edge, node = mesh.start_pair(teller(listeners=(replace(teller().listeners[0], tls=tls),)))

    assert request(edge.address, 9080)[0] == 200
    assert request(node.address, 9080)[0] == 200
    assert _moved(node, "handshake") >= 1


def test_log_lines_are_json_whoever_writes_them(mesh: Mesh) -> None:
    """The supervisor, the watcher and Envoy share one output."""
    _, node = mesh.start_pair(teller())

    for line in node.log.splitlines():
        assert {"at", "level", "event"} <= json.loads(line).keys()
