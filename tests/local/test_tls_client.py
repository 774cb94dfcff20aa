"""Attempts at a listener with a client's own certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.pki import Hierarchy
from local.tls_client import attempt, load_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER, CLIENT = "server.shop.internal", "client.shop.internal"


@contextmanager
def listener(identity: Hierarchy, trusted: Hierarchy) -> Iterator[int]:
    """A TLS server that asks for certificates of one hierarchy and sends back what it gets; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted.root_pem)
    load_certificate(context, identity.issue([SERVER]))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as client:
                    client.sendall(client.recv(64))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_client_is_let_in_or_refused_by_its_own_certificate() -> None:
    """With a certificate of the trusted hierarchy it gets an answer; with another's, or none, not even a handshake."""
    trusted, other = Hierarchy(2), Hierarchy(2)
    with listener(other, trusted) as port:
        tried = [
            attempt("127.0.0.1", port, SERVER, material, b"hello")
            for material in (trusted.issue([CLIENT]), other.issue([CLIENT]), None)
        ]

    assert [(one.admitted, one.answer) for one in tried] == [(True, b"hello"), (False, b""), (False, b"")]
    assert len({one.client for one in tried}) == 3
    assert all(one.client.startswith("127.0.0.1:") for one in tried)


def test_nobody_who_listens_is_no_refusal() -> None:
    """A port that is closed has judged no certificate."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(OSError, match="refused"):
        attempt("127.0.0.1", port, SERVER, None)
