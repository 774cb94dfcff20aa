"""A question over TCP: in words that the server understands."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from local.demo.matching_requests import MatchingRequest
from local.demo.questions import Question
from local.demo.tcp_sessions import ANY_WORDS, TcpAsking
from meshcert.proxy import Listener, ListenerTls, TlsMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def _server(answer: Callable[[bytes], bytes]) -> Iterator[TcpAsking]:
    """A server for one session; asked as the callee on some port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            session, _ = server.accept()
            with session:
                session.sendall(answer(session.recv(100)))

        Thread(target=serve, daemon=True).start()
        listener = Listener(server.getsockname()[1], "tcp", ListenerTls(TlsMode.DISABLED))
        question = Question("appserver", listener, None, MatchingRequest(""), host="store")
        yield TcpAsking(question, lambda: "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("port", "words"),
    [(6379, b"PING\r\n"), (5432, bytes.fromhex("0000000804d2162f")), (9000, ANY_WORDS)],
)
def test_a_server_hears_what_its_port_is_known_for(port: int, words: bytes) -> None:
    """Redis a PING, PostgreSQL a question for TLS; anybody else a line."""
    with _server(lambda heard: heard) as asking:
        assert TcpAsking(asking.question, asking.address, port).ask_once() == (repr(words)[1:], "")


def test_a_session_without_an_answer_has_failed() -> None:
    """Envoy accepts a session before it knows whether a task will."""
    with _server(lambda _: b"") as asking, pytest.raises(OSError, match="without an answer"):
        asking.ask_once()
