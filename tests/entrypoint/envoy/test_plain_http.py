"""Answers over loopback, whole, in chunks, cut short and other than HTTP."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from entrypoint.envoy.plain_http import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 30.0
HEAD = b"HTTP/1.1 200 OK\r\nserver: envoy\r\n"
IN_CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def _answer(listener: socket.socket, answer: bytes) -> tuple[int, bytes]:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(answer)

    server = threading.Thread(target=serve)
    server.start()
    address, port = listener.getsockname()
    try:
        return answer_of("GET", address, port, "/stats", TIMEOUT_S)
    finally:
        server.join(TIMEOUT_S)


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (HEAD + b"\r\nLIVE\n", b"LIVE\n"),
        (IN_CHUNKS + b"0\r\n\r\n", b""),
        (IN_CHUNKS + b"5\r\nLIVE\n\r\n0\r\n\r\n", b"LIVE\n"),
        (IN_CHUNKS + b"3\r\na\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", b"a\r\n0123456789"),
        (IN_CHUNKS + b"30d40\r\n" + b"x" * 200_000 + b"\r\n0\r\n\r\n", b"x" * 200_000),
    ],
    ids=["until the end", "empty", "one chunk", "two chunks", "larger than one read"],
)
def test_the_whole_body_is_returned_however_it_is_sent(listener: socket.socket, sent: bytes, body: bytes) -> None:
    """Envoy sends most answers in chunks, and short refusals without."""
    assert _answer(listener, sent) == (200, body)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0-server\r\n\r\n",
        HEAD,
        IN_CHUNKS,
        IN_CHUNKS + b"5\r\nLI",
        IN_CHUNKS + b"5\r\nLIVE\n\r\n",
        IN_CHUNKS + b"-5\r\nLIVE\n\r\n0\r\n\r\n",
        IN_CHUNKS + b"ffffffffffffffff\r\nLIVE\n\r\n0\r\n\r\n",
    ],
    ids=["nothing", "not HTTP", "head cut", "no chunk", "chunk cut", "no last chunk", "negative size", "huge size"],
)
def test_an_answer_without_its_end_is_an_error(listener: socket.socket, sent: bytes) -> None:
    """Half a list of counters would be taken for all of them."""
    with pytest.raises(OSError, match="answer"):
        _answer(listener, sent)
