"""A PERMISSIVE ``tcp`` listener serves clients that wait for the server's greeting, with TLS and without."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from entrypoint.judging.memory_file import memory_file
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, GATEWAY_TRUST, PORT, TELLER_NAME, TELLER_SECRET, teller
from meshcert.proxy import TlsMode
from tests.envoy.conftest import APPLICATION_PORT
from tests.envoy.greeting_server import GREETING, greeting_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start

GREETED_WITHIN_S = 1.0
TRIES = 8
"""One greeting in time proves that Envoy waits no longer: a busy machine delays some, and hastens none."""
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def client() -> Hierarchy:
    """The hierarchy that the listener trusts."""
    return Hierarchy(1, name="colorgateway")


@pytest.fixture(scope="module")
def material(client: Hierarchy) -> Material:
    """What the listener asks for."""
    return client.issue([GATEWAY_NAME])


@pytest.fixture(scope="module")
def node(begin: tuple[Start, SecretsApi], client: Hierarchy) -> Iterator[Container]:
    """A PERMISSIVE listener with validation, before a server that speaks first."""
    start, api = begin
    api.publish(TELLER_SECRET, Hierarchy(1, name="colorteller").issue([TELLER_NAME]))
    api.publish_trust_bundle(GATEWAY_TRUST, client.trust_bundle)
    (listener,) = teller().listeners
    tls = listener.tls._replace(mode=TlsMode.PERMISSIVE)
    container = start(teller(listeners=(listener._replace(protocol="tcp", tls=tls),)))
    with ExitStack() as open_ones:
        open_ones.enter_context(greeting_server(container.address, APPLICATION_PORT))
        container.wait_until_healthy()
        yield container


def test_a_client_in_plain_text_is_greeted_within_a_second(node: Container) -> None:
    """It says nothing until then; what it says afterwards arrives."""
    waited_s = []
    for _ in range(TRIES):
        with socket.create_connection((node.address, PORT), PATIENCE_S) as connection:
            began = time.monotonic()
            greeting = connection.recv(100)
            waited_s.append(time.monotonic() - began)
            connection.sendall(b"hello")
            assert (greeting, connection.recv(100)) == (GREETING, b"hello")
        if min(waited_s) <= GREETED_WITHIN_S:
            break

    assert min(waited_s) <= GREETED_WITHIN_S


def test_a_client_that_speaks_first_in_plain_text_waits_for_nothing(node: Container) -> None:
    """Its first bytes say that it is no TLS client."""
    waited_s = []
    for _ in range(TRIES):
        with socket.create_connection((node.address, PORT), PATIENCE_S) as connection:
            connection.sendall(b"hello")
            began = time.monotonic()
            assert connection.recv(100).startswith(GREETING)
            waited_s.append(time.monotonic() - began)

    assert min(waited_s) < GREETED_WITHIN_S / 4


def test_a_client_over_tls_is_greeted_after_the_handshake(node: Container, material: Material) -> None:
    """And the listener has seen TLS: the client is known by its certificate."""
    context = _unverified()
    with memory_file(material.presented_chain) as chain, memory_file(material.private_key.reveal()) as key:
        context.load_cert_chain(chain, key, material.passphrase.reveal())

    with (
        socket.create_connection((node.address, PORT), PATIENCE_S) as connection,
        context.wrap_socket(connection) as session,
    ):
        greeting = session.recv(100)
        session.sendall(b"hello")
        answer = session.recv(100)

    assert (greeting, answer) == (GREETING, b"hello")


def test_a_tls_client_without_a_certificate_is_no_client_in_plain_text(node: Container) -> None:
    """It is refused, and the server hears nothing of it."""
    with (
        socket.create_connection((node.address, PORT), PATIENCE_S) as connection,
        _unverified().wrap_socket(connection) as session,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        session.recv(100)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
