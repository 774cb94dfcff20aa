"""Connections to AWS's endpoints: whom they trust, how long they wait, and that they are kept."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from entrypoint.aws.endpoint import Endpoint
from entrypoint.aws.http_exchange import HttpConnection, HttpRequest
from evidence.bench.ways import https_context
from evidence.fixtures.pki import Hierarchy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GET = HttpRequest("GET", "/", [("Host", "localhost")])
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
SOON_S = 20.0
"""For what happens at once, on a machine that does much else."""


class Server:
    """A server on loopback whose connections a test's own function answers, one after the other."""

    def __init__(self, serve: Callable[[socket.socket], object], context: ssl.SSLContext | None) -> None:
        self.connections = 0
        self._serve = serve
        self._context = context
        self._connection: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def endpoint(self, host: str = "localhost") -> Endpoint:
        """Where it listens."""
        return Endpoint(host, self._listener.getsockname()[1], tls=self._context is not None)

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._connection:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(SOON_S)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError):
                self._connection = connection
                if self._context:
                    self._connection = connection = self._context.wrap_socket(connection, server_side=True)
                self._serve(connection)
                connection.close()


@contextmanager
def served(serve: Callable[[socket.socket], object], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server, while the context lasts."""
    server = Server(serve, context)
    try:
        yield server
    finally:
        server.close()


def _answering(connection: socket.socket) -> None:
    """Answer each request until the client ends."""
    while connection.recv(65536):
        connection.sendall(ANSWER)


def _once(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(ANSWER)


@pytest.fixture
def made() -> Iterator[Callable[..., HttpConnection]]:
    """Makes connections that are closed in the end."""
    connections: list[HttpConnection] = []

    def make(endpoint: Endpoint, authorities: str = "") -> HttpConnection:
        connections.append(HttpConnection(endpoint, authorities))
        return connections[-1]

    yield make
    for connection in connections:
        connection.close()


def _body(connection: HttpConnection, timeout_s: float = SOON_S) -> bytes:
    connection.wait("connection", SOON_S)
    return connection.exchange(GET, timeout_s).body


def test_a_connection_carries_one_request_after_the_other(made: Callable[..., HttpConnection]) -> None:
    """It is made once."""
    with served(_answering) as server:
        connection = made(server.endpoint())

        assert [_body(connection) for _ in range(3)] == [b"body"] * 3
        assert (connection.is_open(), server.connections) == (True, 1)


def test_threads_take_turns(made: Callable[..., HttpConnection]) -> None:
    """None gets another one's answer."""

    def echo(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            path = request.split(b" ")[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    with served(echo) as server, ThreadPoolExecutor(4) as threads:
        connection = made(server.endpoint())
        connection.wait("connection", SOON_S)
        paths = [f"/{number}" for number in range(40)]

        found = threads.map(lambda path: connection.exchange(GET._replace(path=path), SOON_S).body.decode(), paths)

        assert [*found] == paths


def test_over_tls_a_kept_connection_stays_open(tmp_path: Path, made: Callable[..., HttpConnection]) -> None:
    """A server's tickets for later sessions arrive unasked, and are no reason to make another one."""
    context, trusted = https_context(tmp_path)
    with served(_answering, context) as server:
        connection = made(server.endpoint(), str(trusted))
        found = []
        for _ in range(3):
            found.append(_body(connection))
            assert connection.is_open()

        assert (found, server.connections) == ([b"body"] * 3, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_proves_the_name_that_was_asked_for(
    host: str, tmp_path: Path, made: Callable[..., HttpConnection]
) -> None:
    """Its certificate is for ``localhost``: under another name of the same host it is refused, and nothing is sent."""
    context, trusted = https_context(tmp_path)
    asked: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(ANSWER)

    with served(listen, context) as server:
        connection = made(server.endpoint(host), str(trusted))

        if host == "localhost":
            assert _body(connection) == b"body"
            return
        with pytest.raises(ConnectionError, match=r"no connection: .*IP address mismatch"):
            connection.wait("connection", SOON_S)
        assert not connection.is_open()
    assert b"".join(asked) == b""


def test_a_server_of_another_authority_is_refused(tmp_path: Path, made: Callable[..., HttpConnection]) -> None:
    """Neither one's own file nor the system's CAs know its root."""
    context, _ = https_context(tmp_path)
    other = tmp_path / "other.pem"
    other.write_text(Hierarchy(1).root_pem)

    with served(_answering, context) as server:
        for authorities in (str(other), ""):
            with pytest.raises(ConnectionError, match=r"no connection: .*CERTIFICATE_VERIFY_FAILED"):
                made(server.endpoint(), authorities).wait("connection", SOON_S)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_tls_of_before_is_refused(tmp_path: Path, made: Callable[..., HttpConnection]) -> None:
    """TLS 1.1, which AWS itself offers no longer."""
    context, trusted = https_context(tmp_path)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    with served(_answering, context) as server, pytest.raises(ConnectionError, match="no connection"):
        made(server.endpoint(), str(trusted)).wait("connection", SOON_S)


def test_no_proxy_of_the_environment_is_asked(
    made: Callable[..., HttpConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else has to see what is asked."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with served(_answering) as server:
        assert _body(made(server.endpoint())) == b"body"


def _silent(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.recv(1)


def _dripping(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("serve", [_silent, _dripping])
def test_the_limit_is_for_the_whole_answer(
    serve: Callable[[socket.socket], object], made: Callable[..., HttpConnection]
) -> None:
    """One that comes byte after byte is waited for no longer than one that does not come; then it is over."""
    with served(serve) as server:
        connection = made(server.endpoint())
        connection.wait("connection", SOON_S)

        with pytest.raises(ConnectionError, match=r"no answer within 0\.3 s"):
            connection.exchange(GET, 0.3)
        assert not connection.is_open()
        with pytest.raises(ConnectionError, match="it is closed"):
            connection.exchange(GET, SOON_S)


def test_a_handshake_that_does_not_end_is_waited_for_as_long_as_one_likes(made: Callable[..., HttpConnection]) -> None:
    """The caller's limit holds, whatever the connection's own is."""
    with served(_silent) as server:
        connection = made(server.endpoint()._replace(tls=True))

        with pytest.raises(ConnectionError, match=r"no connection within 0\.2 s"):
            connection.wait("connection", 0.2)


def test_nobody_listening_is_said(made: Callable[..., HttpConnection]) -> None:
    """In the system's words."""
    with served(_answering) as server:
        endpoint = server.endpoint()
    connection = made(endpoint)

    with pytest.raises(ConnectionError, match=r"no connection: .*refused"):
        connection.wait("connection", SOON_S)
    assert not connection.is_open()


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_the_server_has_ended_is_known(
    tmp_path: Path, made: Callable[..., HttpConnection], *, tls: bool
) -> None:
    """Before the next request is sent on it."""
    context, trusted = https_context(tmp_path)
    with served(_once, context if tls else None) as server:
        connection = made(server.endpoint(), str(trusted))
        assert _body(connection) == b"body"

        deadline = time.monotonic() + SOON_S
        while connection.is_open():
            assert time.monotonic() < deadline, "it still counts as open"


def test_an_answer_that_is_too_large_ends_the_connection(made: Callable[..., HttpConnection]) -> None:
    """Its size is said, not its content."""

    def large(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"secret" * (1 << 19))

    with served(large) as server:
        connection = made(server.endpoint())

        with pytest.raises(ConnectionError, match="no answer: it is larger than 1048576 bytes"):
            _body(connection)
        assert not connection.is_open()


@pytest.mark.parametrize(
    "request_",
    [
        GET._replace(headers=[("Authorization", "a\r\nX-Injected: b")]),
        GET._replace(headers=[("Authorization", "ü")]),
        GET._replace(path="/ HTTP/1.1\r\n\r\nGET /"),
        GET._replace(path="/a b"),
    ],
)
def test_a_request_that_would_be_another_is_not_sent(
    request_: HttpRequest, made: Callable[..., HttpConnection]
) -> None:
    """A token may come from anywhere; the message does not quote it."""
    with served(_answering) as server:
        connection = made(server.endpoint())
        connection.wait("connection", SOON_S)

        with pytest.raises(ConnectionError, match=r"no answer: the request cannot be written") as error:
            connection.exchange(request_, SOON_S)
    assert "Injected" not in str(error.value)


def test_closing_wakes_who_waits(made: Callable[..., HttpConnection]) -> None:
    """Long before the answer's limit."""
    with served(_silent) as server, ThreadPoolExecutor(1) as threads:
        connection = made(server.endpoint())
        connection.wait("connection", SOON_S)
        waiting = threads.submit(connection.exchange, GET, 600.0)
        deadline = time.monotonic() + SOON_S
        while not connection._turn.locked():
            assert time.monotonic() < deadline

        connection.close()

        with pytest.raises(ConnectionError, match="no answer"):
            waiting.result(SOON_S)
