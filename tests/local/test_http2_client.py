"""HTTP/2 as the demo's clients speak it: no request is given up for a goodbye."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded
from hyperframe.frame import GoAwayFrame

from local.http2_client import Http2Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALL_STREAMS = 2**31 - 1


class Served:
    """One connection of a server, with a question to answer."""

    def __init__(self, http: H2Connection, connected: socket.socket, stream: int) -> None:
        self.http, self.connected, self.stream = http, connected, stream

    def answer(self) -> None:
        """With the port of whoever asks, so that connections can be told apart."""
        body = str(self.connected.getpeername()[1]).encode()
        self.http.send_headers(self.stream, [(":status", "200")])
        self.http.send_data(self.stream, body)
        self.http.send_headers(self.stream, [("grpc-status", "0")], end_stream=True)
        self.connected.sendall(self.http.data_to_send())

    def go_away(self, last_stream: int) -> None:
        """GOAWAY behind h2's back, as its own would end the connection."""
        self.connected.sendall(GoAwayFrame(0, last_stream_id=last_stream).serialize())


@contextmanager
def _server(act: Callable[[Served, int], None]) -> Iterator[str]:
    """A server on loopback; gives its URL. ``act`` gets each question, and its number on all connections."""
    listening = socket.create_server(("127.0.0.1", 0))
    numbers = iter(range(100))

    def serve() -> None:
        with suppress(OSError):
            while True:
                serve_one(listening.accept()[0])

    def serve_one(connected: socket.socket) -> None:
        # What the client still writes to a connection that was shut down resets it; the next one is served.
        with suppress(OSError), connected:
            http = H2Connection(H2Configuration(client_side=False))
            http.initiate_connection()
            connected.sendall(http.data_to_send())
            while data := connected.recv(65_536):
                ended = [event for event in http.receive_data(data) if isinstance(event, StreamEnded)]
                connected.sendall(http.data_to_send())
                for event in ended:
                    act(Served(http, connected, event.stream_id), next(numbers))

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, transport=Http2Transport(None, 10.0))


def test_a_connection_is_kept() -> None:
    """One after the other, with content and without; trailers are told as headers."""
    with _server(lambda served, _: served.answer()) as url, _client(url) as client:
        first, second = client.get("/"), client.post("/", content=b"x")

    assert (first.status_code, first.headers["grpc-status"]) == (200, "0")
    assert first.text == second.text


def test_a_goodbye_before_the_answer_loses_nothing() -> None:
    """As Envoy ends a connection: GOAWAY, then the answer. The next request takes another connection."""

    def leave(served: Served, number: int) -> None:
        if number == 0:
            served.go_away(ALL_STREAMS)
        served.answer()

    with _server(leave) as url, _client(url) as client:
        first, second = client.get("/"), client.get("/")

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.text != second.text


def test_a_request_that_a_goodbye_leaves_out_is_sent_again() -> None:
    """Nobody has looked at it."""

    def leave_out(served: Served, number: int) -> None:
        if number:
            served.answer()
            return
        served.go_away(0)
        served.connected.shutdown(socket.SHUT_RDWR)

    with _server(leave_out) as url, _client(url) as client:
        assert client.get("/").status_code == 200


def test_an_answer_that_does_not_come_is_an_error() -> None:
    """The connection ends, and the request may have been carried out."""
    with (
        _server(lambda served, _: served.connected.shutdown(socket.SHUT_RDWR)) as url,
        _client(url) as client,
        pytest.raises(httpx.RemoteProtocolError, match="ended before the answer"),
    ):
        client.get("/")
