"""No request reaches an application twice: what it has read is never sent again, whatever it does then."""

from __future__ import annotations

import http.client
import socket
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Self

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived

from evidence.fixtures.container import Container, request
from evidence.fixtures.proxies import PORT
from meshcert.proxy import Route
from tests.envoy.two_ends import SECOND, two_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

TIMES = 20
AT_ONCE = {"http": 10, "http2": 1}
"""
Half an answer takes two seconds to end: each Envoy on its way lets the connection live on for one.

With HTTP/2 callers share a connection, and what ends it for one ends it for all.
"""
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
    routes = (Route("/http/", "colorteller"), Route("/http2/", SECOND))
    with two_nodes(*begin, new_address, "http2", routes) as nodes, ExitStack() as running:
        addresses = {"http": nodes.first.address, "http2": nodes.second.address}
        rude = {name: running.enter_context(_Rude(at, http2=name == "http2")) for name, at in addresses.items()}
        nodes.wait_until_answered(*(f"/{name}/ok/" for name in rude))
        yield nodes.gateway, rude


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

    def ask(_: int) -> tuple[int, int, int, int]:
        """The statuses of a request that ends well and of one that does not, and how often each has come."""
        good, bad = (f"/{protocol}/{each}/{next(_numbers)}" for each in ("ok", what))
        well, badly = request(container.address, PORT, good)[0], 0
        with suppress(http.client.IncompleteRead):  # half an answer
            badly = request(container.address, PORT, bad)[0]
        return well, badly, seen[good], seen[bad]

    with ThreadPoolExecutor(AT_ONCE[protocol]) as callers:
        met = set(callers.map(ask, range(TIMES)))

    assert met == {(200, 0 if what == "break" else 503, 1, 1)}
