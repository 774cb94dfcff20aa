"""What answers on Envoy's administration port is bounded: another program may be there before Envoy is."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from entrypoint.envoy.admin import TIMEOUT_S, Admin
from entrypoint.envoy.plain_http import read_answer
from meshcert.contract.container import ADMIN_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answering(address: str, say: Callable[[socket.socket], object]) -> Iterator[Admin]:
    """An administration interface that says what it likes on one connection."""
    with socket.create_server((address, ADMIN_PORT)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as connection:
                connection.recv(4096)
                say(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield Admin(address)


def test_the_body_of_an_answer_is_its_text() -> None:
    """In pieces, as Envoy sends it."""

    def say(connection: socket.socket) -> None:
        connection.sendall(_OK + b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        connection.sendall(b"4\r\n two\r\n0\r\n\r\n")

    with answering("127.77.1.1", say) as admin:
        assert admin.get("/") == "one two"


def test_an_answer_without_end_is_refused() -> None:
    """After a mebibyte."""

    def say(connection: socket.socket) -> None:
        connection.sendall(_OK + b"\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with answering("127.77.1.2", say) as admin, pytest.raises(ConnectionError, match="larger"):
        admin.get("/")


@pytest.mark.parametrize("piece", [b"x", b"HTTP/1.1 100 Continue\r\n\r\n", b"a: b\r\n"], ids=["text", "100", "heads"])
def test_an_answer_in_small_pieces_takes_no_longer(piece: bytes) -> None:
    """The time is that of the whole answer, and not of each piece."""
    over = threading.Event()

    def say(connection: socket.socket) -> None:
        while not over.wait(0.05):
            connection.sendall(piece)

    began = time.monotonic()
    with answering("127.77.1.3", say) as admin, pytest.raises(TimeoutError):
        admin.get("/")
    over.set()

    assert time.monotonic() - began < 10 * TIMEOUT_S


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 1000,
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\n" * 1000,
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
        _OK + b"transfer-encoding: chunked\r\n\r\n-5\r\nabc",
        _OK + b"transfer-encoding: chunked\r\n\r\nfffffffffffffff\r\nabc",
        _OK + b"transfer-encoding: chunked\r\n\r\nffffffff\r\nabc",
        _OK + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000,
    ],
)
def test_what_is_no_answer_of_http_is_refused(answer: bytes) -> None:
    """By one error."""
    with pytest.raises(ConnectionError):
        read_answer(answer)
