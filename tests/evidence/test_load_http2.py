"""Failures as the load client counts them in HTTP/2 and gRPC, above all around GOAWAY."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import StreamEnded
from hyperframe.frame import GoAwayFrame

from evidence.load.http2 import TRIES, Http2Client, grpc_message
from evidence.load.loads import Connection, Load, Protocol
from evidence.load.tally import Failure, RequestFailed, Tally
from local.http2_frames import PREFACE_BYTES, Frames, GoAway

if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[["Server", int], None]
    """A server's answer to a complete question on a stream."""

ALL_STREAMS = 2**31 - 1


class Server:
    """One connection of a server that follows a script."""

    def __init__(self, http: H2Connection, writer: asyncio.StreamWriter) -> None:
        self.http = http
        self.writer = writer

    def answer(self, stream: int, body: bytes, status: str = "200") -> None:
        """A whole answer."""
        self.http.send_headers(stream, [(":status", status)])
        self.http.send_data(stream, body, end_stream=True)
        self.flush()

    def go_away(self, last_stream: int) -> None:
        """GOAWAY behind h2's back, as its own would end the connection."""
        self.flush()
        self.writer.write(GoAwayFrame(0, last_stream_id=last_stream).serialize())

    def flush(self) -> None:
        """Send what is ready."""
        self.writer.write(self.http.data_to_send())


def right(server: Server, stream: int) -> None:
    """The right answer to the first question."""
    server.answer(stream, b"/http2/0")


def goodbye_first(server: Server, stream: int) -> None:
    """As Envoy ends a connection: GOAWAY with the highest id, then the answer, then the connection's end."""
    server.go_away(ALL_STREAMS)
    right(server, stream)
    server.go_away(stream)
    server.writer.close()


def goodbye_unread(server: Server, stream: int) -> None:
    """A GOAWAY that leaves this question out."""
    server.go_away(stream - 1)
    server.writer.close()


def refused_once(server: Server, stream: int) -> None:
    """RST_STREAM with REFUSED_STREAM for the first question on the connection, the right answer to the second."""
    if stream > 1:
        right(server, stream)
        return
    server.http.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
    server.flush()


def promise_broken(server: Server, stream: int) -> None:
    """A GOAWAY that takes the question, and then no answer."""
    server.go_away(stream)
    server.writer.close()


def closed(server: Server, stream: int) -> None:
    """The connection just ends."""
    del stream
    server.writer.close()


def reset(server: Server, stream: int) -> None:
    """RST_STREAM with INTERNAL_ERROR."""
    server.http.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
    server.flush()


def half(server: Server, stream: int) -> None:
    """Headers, and then the connection's end."""
    server.http.send_headers(stream, [(":status", "200")])
    server.flush()
    server.writer.close()


def unavailable(server: Server, stream: int) -> None:
    """Envoy's answer without an upstream."""
    server.answer(stream, b"no healthy upstream", "503")


def another(server: Server, stream: int) -> None:
    """The answer to another question."""
    server.answer(stream, b"/http2/7")


async def _ask(script: list[Act], protocol: Protocol = Protocol.HTTP2) -> Tally:
    """Ask a server that does this at the question on its first connection, its second and so on."""
    acts = iter(script)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        act = next(acts)
        server = Server(H2Connection(H2Configuration(client_side=False)), writer)
        server.http.initiate_connection()
        frames = Frames(PREFACE_BYTES)
        with suppress(OSError):
            while data := await reader.read(65_536):
                for part in frames.feed(data):
                    for event in () if isinstance(part, GoAway) else server.http.receive_data(part):
                        if isinstance(event, StreamEnded) and event.stream_id:
                            act(server, event.stream_id)
                server.flush()
        writer.close()

    listening = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with listening:
        tally = Tally()
        load = Load(protocol, Connection.KEPT, "127.0.0.1", listening.sockets[0].getsockname()[1])
        client = Http2Client(load, tally)
        try:
            await client.ask("0")
        finally:
            await client.close()
    return tally


def _failure(script: list[Act], protocol: Protocol = Protocol.HTTP2) -> Failure:
    with pytest.raises(RequestFailed) as caught:
        asyncio.run(_ask(script, protocol))
    return caught.value.failure


def test_an_answer_after_a_graceful_goaway_is_an_answer() -> None:
    """It comes on the same connection; nothing is asked twice."""
    tally = asyncio.run(_ask([goodbye_first]))

    assert (tally.connections, tally.repeated) == (1, 0)


@pytest.mark.parametrize("script", [[goodbye_unread, right], [refused_once]])
def test_a_question_that_was_not_looked_at_is_asked_again(script: list[Act]) -> None:
    """RFC 9113 section 8.7: the server says so; nobody's request is lost."""
    assert asyncio.run(_ask(script)).repeated == 1


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (promise_broken, Failure.GOAWAY),
        (closed, Failure.RESET),
        (reset, Failure.RESET),
        (half, Failure.RESET),
        (unavailable, Failure.STATUS),
        (another, Failure.PROTOCOL),
    ],
)
def test_what_is_no_right_answer_has_failed(act: Act, expected: Failure) -> None:
    """Each with its own kind."""
    assert _failure([act]) == expected


def test_a_server_that_never_looks_at_anything_is_a_failure() -> None:
    """After some tries."""
    assert _failure([goodbye_unread] * TRIES) == Failure.GOAWAY


def _grpc(*, trailers: list[tuple[str, str]], message: bytes = grpc_message(b"0")) -> Act:
    def act(server: Server, stream: int) -> None:
        server.http.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        server.http.send_data(stream, message, end_stream=not trailers)
        if trailers:
            server.http.send_headers(stream, trailers, end_stream=True)
        server.flush()

    return act


def _at_once(server: Server, stream: int) -> None:
    """A gRPC answer of headers alone, as Envoy answers without an upstream."""
    headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")]
    server.http.send_headers(stream, headers, end_stream=True)
    server.flush()


def test_a_call_with_status_0_in_its_trailers_is_answered() -> None:
    """And with its own message."""
    assert asyncio.run(_ask([_grpc(trailers=[("grpc-status", "0")])], Protocol.GRPC)).connections == 1


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (_grpc(trailers=[("grpc-status", "14")]), Failure.STATUS),
        (_grpc(trailers=[]), Failure.STATUS),
        (_at_once, Failure.STATUS),
        (_grpc(trailers=[("grpc-status", "0")], message=grpc_message(b"1")), Failure.PROTOCOL),
    ],
    ids=["another status", "no trailers", "headers alone", "another message"],
)
def test_a_call_without_status_0_or_with_another_message_has_failed(act: Act, expected: Failure) -> None:
    """HTTP's own status is 200 in each of them."""
    assert _failure([act], Protocol.GRPC) == expected


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_goaway_is_taken_out_however_the_bytes_arrive(size: int) -> None:
    """Frames before and after it pass unchanged."""
    goaway = GoAwayFrame(0, last_stream_id=5, error_code=2).serialize()
    before, behind = b"\0\0\2\0\0\0\0\0\1ab", b"\0\0\0\4\1\0\0\0\0"
    data = b"P" * PREFACE_BYTES + before + goaway + behind
    frames = Frames(PREFACE_BYTES)

    parts = [part for place in range(0, len(data), size) for part in frames.feed(data[place : place + size])]

    assert [part for part in parts if isinstance(part, GoAway)] == [GoAway(5, 2)]
    assert b"".join(part for part in parts if isinstance(part, bytes)) == b"P" * PREFACE_BYTES + before + behind
