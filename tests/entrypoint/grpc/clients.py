"""The server under test with the tests' own service, and clients that can break any rule."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection

from entrypoint.grpc.framing import CallEnded, Status
from entrypoint.grpc.server import ServedSocket, Server
from entrypoint.grpc.service import Unary
from entrypoint.grpc.socket import bind
from entrypoint.grpc.wire import fields
from entrypoint.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.grpc.service import Services
    from entrypoint.grpc.socket import Peer

READ, TALK, WATCH = "/tests.News/Read", "/tests.News/Talk", "/tests.News/Watch"
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class News:
    """The tests' own service, which tells the latest headline. It has a method of each kind."""

    def __init__(self, headline: bytes = b"first") -> None:
        self.headline = headline
        self.calls: list[tuple[Mapping[str, str], Peer]] = []

    def services(self) -> Services:
        """One request and one answer; requests and answers at will; one request, and answers until the client goes."""
        return {READ: lambda *_: Unary(lambda _: self.headline), TALK: lambda *_: Talk(self), WATCH: self.watch}

    def watch(self, metadata: Mapping[str, str], peer: Peer) -> Watch:
        """Like the SPIFFE Workload API: a call needs a header, and there must be something to tell."""
        self.calls.append((metadata, peer))
        if metadata.get("workload.spiffe.io") != "true":
            raise CallEnded(Status.INVALID_ARGUMENT, "security header missing from request")
        if not self.headline:
            raise CallEnded(Status.UNAVAILABLE, "there is no news yet")
        return Watch(self)


class Talk:
    """Answers every request, tells every new headline, and ends when the client has said everything."""

    awaits_request = False

    def __init__(self, news: News) -> None:
        self._news = news
        self._told = news.headline

    def receive(self, message: bytes) -> list[bytes]:
        """The headline; a request that cannot be read is refused."""
        list(fields(message))
        self._told = self._news.headline
        return [self._told]

    def half_close(self) -> list[bytes]:
        """Says good-bye."""
        raise CallEnded(Status.OK)

    def update(self) -> list[bytes]:
        """The headline, if it is new."""
        return [] if self._told == self._news.headline else self.receive(b"")


class Watch:
    """Tells every headline after the client's only request, which the client's last word comes with."""

    def __init__(self, news: News) -> None:
        self.awaits_request = True
        self._news = news
        self._told = b""

    def receive(self, message: bytes) -> list[bytes]:
        """The first headline."""
        del message
        self.awaits_request = False
        return self.update()

    def half_close(self) -> list[bytes]:
        """Nothing: the stream stays open."""
        return []

    def update(self) -> list[bytes]:
        """The headline, if it is new."""
        if self.awaits_request or self._told == self._news.headline:
            return []
        self._told = self._news.headline
        return [self._told]


class Served:
    """A running server with one socket or more, and what it logs."""

    def __init__(self, path: str, socket_of: Callable[[socket.socket, Log], ServedSocket], *more: ServedSocket) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.listener = bind(path)
        log = Log("debug", self.lines.append)
        self.server = Server("sds", [socket_of(self.listener, log), *more], log)
        threading.Thread(target=self.server.run, daemon=True).start()

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log's lines with this event."""
        return [line for line in map(json.loads, self.lines) if line["event"] == event]


class Raw:
    """A client that sends what it is told, byte by byte if need be; a context."""

    def __init__(self, path: str) -> None:
        self.wire = socket.socket(socket.AF_UNIX)
        self.wire.connect(path)  # before the timeout is set: then it waits for its turn in the queue
        self.wire.settimeout(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def is_closed_by_the_server(self) -> bool:
        """True if the other end hangs up; anything that comes before is read and dropped."""
        with suppress(ConnectionError):
            while self.wire.recv(65_536):
                pass
        return True


class Polite(Raw):
    """A client that speaks HTTP/2."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.http = H2Connection(H2Configuration(client_side=True))
        self.http.initiate_connection()

    def call(self, path: str = TALK, *, end: bool = False, **headers: str) -> int:
        """A new stream's number."""
        stream = self.http.get_next_available_stream_id()
        plain = {":method": "POST", ":path": path, ":scheme": "http", ":authority": "tests", "te": "trailers"}
        plain |= {"content-type": "application/grpc"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.http.send_headers(stream, list(plain.items()), end_stream=end)
        return stream

    def send(self) -> None:
        """Send what has been prepared."""
        with suppress(ConnectionError):
            self.wire.sendall(self.http.data_to_send())


def news_socket(news: News, **fields: Any) -> Callable[[socket.socket, Log], ServedSocket]:
    """The socket on which the tests' own service is served to this user, unless ``fields`` say otherwise."""
    fields = {"users": {os.getuid()}} | fields
    return lambda listener, _: ServedSocket("sds", listener, news.services(), **fields)


def read(path: str) -> bytes:
    """The headline that a well-behaved client gets, over a connection of its own: gRPC would share an earlier one."""
    with grpc.insecure_channel(f"unix:{path}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        answer = channel.unary_unary(READ)(b"", timeout=5)
    assert isinstance(answer, bytes)
    return answer
