"""No request reaches an application twice: what it has read is never sent again, whatever it does then."""

from __future__ import annotations

import http.client
import socket
import struct
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Self

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import (
    GATEWAY_NAME,
    GATEWAY_SECRET,
    GATEWAY_TRUST,
    TELLER_NAME,
    TELLER_SECRET,
    TELLER_TRUST,
    gateway,
    teller,
)
from meshcert.proxy import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PORT = 9080
SECOND = "second.mtls.svc.cluster.local"
TIMES = 20
RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER`` of a connection that is reset when it is closed."""
_numbers = count()


class _Rude:
    """An application that reads a whole request, counts it by its path, and does what the path's middle says."""

    def __init__(self, address: str, *, http2: bool) -> None:
        self.seen: Counter[str] = Counter()
        self._server = socket.create_server((address, 8080), backlog=128)
        self._serve = self._http2 if http2 else self._http1
        self._thread = Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                Thread(target=self._one, args=self._server.accept()[:1], daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._serve(connection)

    def _http1(self, connection: socket.socket) -> None:
        data = b""
        while more := connection.recv(65_536):
            data += more
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                path = head.split()[1].decode()
                self.seen[path] += 1
                match path.split("/")[2]:
                    case "reset":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        return
                    case "close":
                        return
                    case "break":
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        return
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def _http2(self, connection: socket.socket) -> None:
        http2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        http2.initiate_connection()
        connection.sendall(http2.data_to_send())
        while more := connection.recv(65_536):
            for event in http2.receive_data(more):
                if isinstance(event, RequestReceived) and event.stream_id and event.headers:
                    path = dict(event.headers)[b":path"].decode()
                    self.seen[path] += 1
                    if not self._answer(connection, http2, event.stream_id, path.split("/")[2]):
                        return
            connection.sendall(http2.data_to_send())

    @staticmethod
    def _answer(connection: socket.socket, http2: H2Connection, stream: int, what: str) -> bool:
        """Whether the connection goes on."""
        match what:
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return False
            case "close":
                return False
            case "cancel":
                http2.reset_stream(stream, ErrorCodes.CANCEL)
            case "fail":
                http2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            case "leave":
                http2.close_connection(last_stream_id=stream)
                connection.sendall(http2.data_to_send())
                return False
            case _:
                http2.send_headers(stream, [(":status", "200")], end_stream=True)
        return True


@pytest.fixture(scope="module")
def edge(
    begin: tuple[Start, SecretsApi], new_address: Callable[[], str]
) -> Iterator[tuple[Container, dict[str, _Rude]]]:
    """A gateway, and the applications behind a node that speaks http and one that speaks http2."""
    start, api = begin
    gateways, tellers = Hierarchy(1, name="colorgateway"), Hierarchy(2, name="colorteller")
    api.publish(GATEWAY_SECRET, gateways.issue([GATEWAY_NAME]))
    api.publish(TELLER_SECRET, tellers.issue([TELLER_NAME, SECOND]))
    api.publish_trust_bundle(GATEWAY_TRUST, gateways.trust_bundle)
    api.publish_trust_bundle(TELLER_TRUST, tellers.trust_bundle)
    base, (listener,), (backend,) = teller(), teller().listeners, gateway().backends
    with CloudMap(new_address()) as cloud_map, ExitStack() as running:
        nodes = {
            "http": start(base),
            "http2": start(base._replace(listeners=(listener._replace(protocol="http2"),))),
        }
        cloud_map.records |= {TELLER_NAME: [nodes["http"].address], SECOND: [nodes["http2"].address]}
        rude = {name: running.enter_context(_Rude(node.address, http2=name == "http2")) for name, node in nodes.items()}
        backends = (backend, backend._replace(name="second", host=SECOND, protocol="http2"))
        routes = (Route("/http/", "colorteller"), Route("/http2/", "second"))
        container = start(gateway(backends=backends, routes=routes), MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        for each in (*nodes.values(), container):
            each.wait_until_healthy()
        for name in rude:
            eventually(lambda name=name: request(container.address, PORT, f"/{name}/ok/")[0] == 200, "an answer")  # type: ignore[misc]  # a default mypy cannot infer
        yield container, rude


@pytest.mark.parametrize(
    ("protocol", "what"),
    [
        *(("http", what) for what in ("reset", "close", "break")),
        *(("http2", what) for what in ("reset", "close", "cancel", "fail", "leave")),
    ],
)
def test_a_request_that_the_application_has_read_comes_to_it_once(
    edge: tuple[Container, dict[str, _Rude]], protocol: str, what: str
) -> None:
    """On a new connection as on one that is kept; its end is the caller's to know, with 503 or a broken answer."""
    container, applications = edge
    seen = applications[protocol].seen
    for _ in range(TIMES):
        good, bad = (f"/{protocol}/{each}/{next(_numbers)}" for each in ("ok", what))

        assert request(container.address, PORT, good)[0] == 200
        with suppress(http.client.IncompleteRead):  # half an answer
            assert request(container.address, PORT, bad)[0] == (200 if what == "break" else 503)
        assert (seen[good], seen[bad]) == (1, 1)
