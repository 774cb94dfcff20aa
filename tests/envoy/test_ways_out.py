"""An application reaches its backends through its own Envoy: by host, or by a port of loopback, over mutual TLS."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually
from evidence.fixtures.proxies import (
    GATEWAY_NAME,
    TELLER_NAME,
    gateway,
    teller,
)
from meshcert.proxy import Route, WayOut
from tests.envoy.greeting_server import GREETING, greeting_server
from tests.envoy.http_application import application
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

EGRESS, LOCAL, LOCAL_TCP = 15001, 15100, 6379
HOSTS = (TELLER_NAME, "colorteller")
STORE = "store.mtls.svc.cluster.local"


class Stage(NamedTuple):
    """The caller's container, and the callee's."""

    front: Container
    callee: Container


@pytest.fixture(scope="module")
def stage(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[Stage]:
    """A node whose application may call a teller (http) and a store (tcp), both STRICT and for this caller alone."""
    start, api = begin
    publish_both(api, tellers=(TELLER_NAME, STORE))
    (backend,), (listener,) = gateway().backends, teller().listeners
    store = backend._replace(name="store", host=STORE, protocol="tcp")
    settings = gateway(
        name="front",
        listeners=(),
        routes=(),
        application_port=8080,
        backends=(backend, store),
        ways_out=(
            WayOut("colorteller", HOSTS, "http", (Route("/", "colorteller"),), LOCAL),
            WayOut("store", (), "tcp", (Route("/", "store"),), LOCAL_TCP),
        ),
        egress_port=EGRESS,
    )
    with CloudMap(new_address()) as cloud_map, ExitStack() as open_ones:
        callee = start(teller())
        keeper = start(teller(listeners=(listener._replace(protocol="tcp"),)))
        cloud_map.records |= {TELLER_NAME: [callee.address], STORE: [keeper.address]}
        front = start(settings, MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        open_ones.enter_context(application(callee.address))
        open_ones.enter_context(greeting_server(keeper.address, 8080))
        for each in (callee, keeper, front):
            each.wait_until_healthy()
        eventually(lambda: _ask(front, EGRESS, TELLER_NAME)[0] == 200, "a first answer")
        yield Stage(front, callee)


def _ask(container: Container, port: int, host: str, path: str = "/head", method: str = "GET") -> tuple[int, str]:
    """Status and body of a request that names a host."""
    connection = http.client.HTTPConnection(container.address, port, timeout=30)
    try:
        connection.request(method, path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", [*HOSTS, f"{TELLER_NAME}:9080", "colorteller:1", TELLER_NAME.upper()])
def test_the_egress_listener_finds_a_backend_by_every_host_that_stands_for_it(stage: Stage, host: str) -> None:
    """With or without port, and the callee knows the caller by its certificate."""
    status, head = _ask(stage.front, EGRESS, host)

    assert status == 200
    assert f"DNS={GATEWAY_NAME}" in head


def test_a_client_library_behind_http_proxy_sends_an_absolute_uri_and_gets_through(stage: Stage) -> None:
    """The URI names the host (RFC 9112, 3.2.2)."""
    status, head = _ask(stage.front, EGRESS, "ignored.example", f"http://{TELLER_NAME}/head")

    assert status == 200
    assert f"DNS={GATEWAY_NAME}" in head


def test_a_local_port_leads_to_its_backend_whatever_host_is_named(stage: Stage) -> None:
    """The host reaches the application as it was written."""
    status, head = _ask(stage.front, LOCAL, "anything.example")

    assert status == 200
    assert "anything.example" in head


@pytest.mark.parametrize("host", ["other.mtls.svc.cluster.local", "store", "example.com:80", "169.254.170.2"])
def test_a_host_that_is_no_backend_is_refused_with_the_key_to_write(stage: Stage, host: str) -> None:
    """Also a tcp backend: it has a port, and no host."""
    status, said = _ask(stage.front, EGRESS, host)

    assert status == 403
    assert "virtual_nodes.front.backends" in said


@pytest.mark.parametrize("port", [EGRESS, LOCAL])
def test_an_application_is_not_told_to_leave_while_the_ways_in_are_drained(stage: Stage, port: int) -> None:
    """Its ways out stand until it has ended; a client that cannot live with a goodbye would lose its requests."""
    stage.front.admin("/healthcheck/fail", "POST")
    try:
        connection = http.client.HTTPConnection(stage.front.address, port, timeout=30)
        connection.request("GET", "/head", headers={"Host": TELLER_NAME})
        response = connection.getresponse()
        response.read()
        assert (response.status, response.getheader("connection")) == (200, None)
        connection.close()
    finally:
        stage.front.admin("/healthcheck/ok", "POST")


def test_connect_is_refused(stage: Stage) -> None:
    """Envoy speaks TLS; a tunnel would go past it."""
    with socket.create_connection((stage.front.address, EGRESS), 10) as connection:
        connection.sendall(f"CONNECT {TELLER_NAME}:443 HTTP/1.1\r\nHost: {TELLER_NAME}:443\r\n\r\n".encode())
        answer = connection.recv(4000).decode()

    assert answer.startswith("HTTP/1.1 403")


def test_a_tcp_backend_may_speak_first(stage: Stage) -> None:
    """Through both Envoys, over mutual TLS."""
    with socket.create_connection((stage.front.address, LOCAL_TCP), 30) as connection:
        greeting = connection.recv(100)
        connection.sendall(b"hello")
        answer = connection.recv(100)

    assert (greeting, answer) == (GREETING, b"hello")
