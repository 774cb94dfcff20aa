"""Connections end in time, so that nobody is served under an old certificate for ever, and no request notices."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import json
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import pytest

from entrypoint.trial.connection import client_context, presented
from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, serial_number
from evidence.fixtures.proxies import GATEWAY_NAME, GATEWAY_SECRET, TELLER_NAME, TELLER_SECRET, gateway, teller
from meshcert.envoy import identity_resource
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Mesh, Start

CAP_S = 1.0
SLACK_S = 2.0
"""What two busy cores may add."""
_TIME_TO_LEAVE_S = 1.0
"""Envoy's ``delayed_close_timeout``."""
_GO_AWAY = 7


class Answered(NamedTuple):
    """One request: when it began, its status, what the answer said, and the connection's number and server."""

    at: float
    status: int
    body: str
    connection: int
    serial: int


@pytest.fixture
def cloud_map(new_address: Callable[[], str]) -> Iterator[CloudMap]:
    """Names for the gateway."""
    with CloudMap(new_address()) as running:
        yield running


def _context(mesh: Mesh, client: Material, protocol: str = "tcp") -> ssl.SSLContext:
    shown = presented(identity_resource("identity/client", client))
    assert shown
    return client_context(shown, mesh.tellers.root_pem, protocol)


def _ask(container: Container, context: ssl.SSLContext | None, done: Event) -> list[Answered]:
    """Ask on one connection after the other, as long as each is kept; whatever breaks a request is raised."""
    answered: list[Answered] = []
    number = serial = 0
    if context:
        client: http.client.HTTPConnection = http.client.HTTPSConnection(container.address, 9080, context=context)
    else:
        client = http.client.HTTPConnection(container.address, 9080)
    while not done.is_set():
        if client.sock is None:
            client.connect()
            number += 1
            if isinstance(client.sock, ssl.SSLSocket):
                serial = int(str((client.sock.getpeercert() or {})["serialNumber"]), 16)
        at = time.monotonic()
        client.request("GET", "/")
        response = client.getresponse()
        answered.append(Answered(at, response.status, response.read().decode(), number, serial))
    client.close()
    return answered


@contextmanager
def _asking(container: Container, context: ssl.SSLContext | None = None) -> Iterator[Callable[[], list[Answered]]]:
    """Two clients that ask all the time; call it to end them and see what was answered."""
    done = Event()
    with ThreadPoolExecutor(2) as clients:
        asking = [clients.submit(_ask, container, context, done) for _ in range(2)]

        def answered() -> list[Answered]:
            done.set()
            return [one for client in asking for one in client.result()]

        try:
            yield answered
        finally:
            done.set()


def _reached(container: Container, name: str) -> int:
    return int(container.stats(name).get(name, 0))


def _hash(material: Material) -> str:
    """As ``x-forwarded-client-cert`` names a certificate."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(material.certificate)).hexdigest()


def test_clients_are_asked_to_leave_and_soon_nobody_sees_the_old_certificate(
    mesh: Mesh, start: Start, api: SecretsApi
) -> None:
    """HTTP/1.1, kept connections, a rotation in between: every request is answered."""
    node = start(teller(max_connection_duration_s=CAP_S))
    start.application(node)
    node.wait_until_healthy()
    newer = mesh.tellers.issue([TELLER_NAME])

    with _asking(node, _context(mesh, mesh.gateways.issue([GATEWAY_NAME]))) as end:
        reached = "http.ingress_9080_tls.downstream_cx_max_duration_reached"
        eventually(lambda: _reached(node, reached) >= 2, "connections renewed")
        api.publish(TELLER_SECRET, newer)
        eventually(lambda: node.served_serial_numbers() == {serial_number(newer)}, "rotated")
        served_at = time.monotonic()
        eventually(lambda: time.monotonic() > served_at + CAP_S + 2 * SLACK_S, "the cap is over")
        answered = end()

    assert {one.status for one in answered} == {200}
    assert len(answered) > 100
    assert max(one.connection for one in answered) >= 3
    late = [one for one in answered if one.at > served_at + CAP_S + SLACK_S]
    assert {one.serial for one in late} == {serial_number(newer)}
    assert {one.serial for one in answered} > {serial_number(newer)}


@pytest.mark.parametrize("protocol", ["http", "http2"])
@pytest.mark.parametrize("capped", ["caller", "backend"])
def test_connections_between_proxies_are_renewed_unnoticed(  # noqa: PLR0917  fixtures and two parameters
    mesh: Mesh, start: Start, api: SecretsApi, cloud_map: CloudMap, protocol: str, capped: str
) -> None:
    """
    Whichever end has the cap; within it every request comes under the caller's new certificate.

    The listener takes HTTP/1.1 and HTTP/2 as the caller asks.
    """
    longest = {"caller": 600.0, "backend": 600.0, capped: CAP_S}
    node = start(teller(max_connection_duration_s=longest["backend"]))
    start.application(node)
    backend = gateway().backends[0]._replace(protocol=protocol)
    newer = mesh.gateways.issue([GATEWAY_NAME])
    cloud_map.records[TELLER_NAME] = [node.address]
    edge = start(
        gateway(backends=(backend,), max_connection_duration_s=longest["caller"]),
        MESHCERT_DNS_RESOLVER=cloud_map.resolver,
    )
    for container in (node, edge):
        container.wait_until_healthy()
    eventually(lambda: _reached(edge, "cluster.colorteller.membership_healthy"), "the backend's address")

    with _asking(edge) as end:
        eventually(lambda: _reached(node, "listener.ingress_9080.ssl.handshake") >= 4, "connections renewed")
        api.publish(GATEWAY_SECRET, newer)
        eventually(lambda: edge.served_serial_numbers() == {serial_number(newer)}, "rotated")
        served_at = time.monotonic()
        eventually(lambda: time.monotonic() > served_at + CAP_S + 2 * SLACK_S, "the cap is over")
        answered = end()

    assert {one.status for one in answered} == {200}
    assert len(answered) > 100
    late = [one for one in answered if one.at > served_at + CAP_S + SLACK_S]
    assert {_hash(newer) in one.body for one in late} == {True}
    assert {_hash(newer) in one.body for one in answered} == {True, False}


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_an_idle_connection_ends_as_well(mesh: Mesh, start: Start, protocol: str) -> None:
    """HTTP/1.1 by its end; HTTP/2 by GOAWAY, which leaves the client a second to end it by itself."""
    node = start(teller(max_connection_duration_s=CAP_S))
    node.wait_until_healthy()
    context = _context(mesh, mesh.gateways.issue([GATEWAY_NAME]), "http2" if protocol == "http2" else "tcp")

    plain = socket.create_connection((node.address, 9080), 5)
    with context.wrap_socket(plain, server_hostname=TELLER_NAME) as encrypted:
        began = time.monotonic()
        heard = [(0.0, b"")]
        if protocol == "http2":
            encrypted.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        while data := encrypted.recv(4096):
            heard.append((time.monotonic() - began, data))
        ended = time.monotonic() - began

    assert CAP_S / 2 < ended < CAP_S + SLACK_S + (_TIME_TO_LEAVE_S if protocol == "http2" else 0.0)
    assert _frames(b"".join(data for _, data in heard)).count(_GO_AWAY) == (2 if protocol == "http2" else 0)
    assert heard[-1][0] < CAP_S + SLACK_S


def _frames(heard: bytes) -> list[int]:
    """The types of HTTP/2's frames in these bytes (RFC 9113, 4.1)."""
    kinds, place = [], 0
    while place < len(heard):
        kinds.append(heard[place + 3])
        place += 9 + int.from_bytes(heard[place : place + 3], "big")
    return kinds


def test_a_tcp_session_is_cut_where_that_is_asked_for(mesh: Mesh, start: Start) -> None:
    """In the middle, because there is no other way."""
    tcp = teller().listeners[0]._replace(protocol="tcp")
    node = start(teller(listeners=(tcp,), max_connection_duration_s=CAP_S, cut_tcp_sessions=True))
    node.wait_until_healthy()
    with socket.create_server((node.address, 8080)) as application:
        plain = socket.create_connection((node.address, 9080), 5)
        context = _context(mesh, mesh.gateways.issue([GATEWAY_NAME]))
        with context.wrap_socket(plain, server_hostname=TELLER_NAME) as encrypted:
            began = time.monotonic()
            session, _ = application.accept()
            with session:
                session.sendall(b"hello")
                assert encrypted.recv(5) == b"hello"
                session.settimeout(5)
                assert session.recv(1) == b""
    assert CAP_S / 2 < time.monotonic() - began < CAP_S + SLACK_S


def _for_fifty_minutes(mesh: Mesh) -> Material:
    now = dt.datetime.now(dt.UTC)
    ten, forty = dt.timedelta(minutes=10), dt.timedelta(minutes=40)
    return mesh.tellers.issue([TELLER_NAME], not_before=now - ten, not_after=now + forty)


@both_deliveries
def test_short_lived_certificates_cap_the_connections(mesh: Mesh, start: Start, api: SecretsApi) -> None:
    """A tenth of the lifetime if that is shorter than what the settings allow: here of 50 minutes."""
    api.publish(TELLER_SECRET, _for_fifty_minutes(mesh))

    node = start(teller())
    node.wait_until_healthy()

    (listener,) = json.loads((node.material_dir / "bootstrap.json").read_text())["static_resources"]["listeners"]
    (manager,) = listener["filter_chains"][0]["filters"]
    assert manager["typed_config"]["common_http_protocol_options"] == {"max_connection_duration": "295s"}
