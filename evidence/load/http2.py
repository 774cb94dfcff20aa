"""HTTP/2 and gRPC: many requests at a time on one connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError, StreamClosedError

from evidence.load.loads import GRPC_SERVICE, Connection, Protocol
from evidence.load.tally import Failure, RequestFailed
from local.http2_frames import Frames, GoAway
from local.requests_seen import HEADER

if TYPE_CHECKING:
    from evidence.load.loads import Load
    from evidence.load.tally import Tally

TRIES = 4
"""How often a request is sent that the server never looks at."""
GRPC_PREFIX_BYTES = 5
"""Before each gRPC message: whether it is compressed, and its length."""
_READ_BYTES = 65_536


class NotProcessed(Exception):
    """The server said that it has not looked at the request, which may be sent again (RFC 9113 section 8.7)."""


def grpc_message(content: bytes) -> bytes:
    """An uncompressed gRPC message with its prefix."""
    return b"\0" + len(content).to_bytes(GRPC_PREFIX_BYTES - 1) + content


@dataclass
class Answer:
    """
    What has come back on a stream.

    Args:
        headers: Of the response.
        body: Of the response.
        trailers: Of the response.
        done: Set when it has come to its end.
    """

    done: asyncio.Future[None]
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[bytes, bytes] = field(default_factory=dict)


class Http2Line:
    """
    One connection.

    Args:
        reader: From the server.
        writer: To the server.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._http.initiate_connection()
        self._answers: dict[int, Answer] = {}
        self._goodbye: GoAway | None = None
        self._ended = False
        self._flush()
        self._receiver = asyncio.create_task(self._receive())

    @property
    def usable(self) -> bool:
        """True while the server takes further requests on it."""
        return not self._ended and self._goodbye is None

    async def exchange(self, headers: list[tuple[str, str]], body: bytes = b"") -> Answer:
        """
        Send one request and wait for the end of its answer.

        Args:
            headers: With the pseudo-headers first.
            body: Empty: there is none.

        Raises:
            NotProcessed: If the server has not looked at it.
            RequestFailed: If the server took it and does not answer.
        """
        stream = self._http.get_next_available_stream_id()
        answer = self._answers[stream] = Answer(asyncio.get_running_loop().create_future())
        try:
            self._http.send_headers(stream, headers, end_stream=not body)
            if body:
                self._http.send_data(stream, body, end_stream=True)
            self._flush()
            await answer.done
        finally:
            del self._answers[stream]
            if not answer.done.done() or answer.done.cancelled():
                with suppress(StreamClosedError, ProtocolError):
                    self._http.reset_stream(stream, ErrorCodes.CANCEL)
                self._flush()
            if self._goodbye is not None and not self._answers:
                self._writer.close()
        return answer

    async def close(self) -> None:
        """Say goodbye and end."""
        if not self._ended:
            with suppress(ProtocolError):
                self._http.close_connection()
            self._flush()
        self._writer.close()
        await self._receiver
        with suppress(OSError):
            await self._writer.wait_closed()

    def _flush(self) -> None:
        data = self._http.data_to_send()
        if data and not self._writer.is_closing():
            self._writer.write(data)

    async def _receive(self) -> None:
        frames = Frames()
        why = "closed"
        try:
            while data := await self._reader.read(_READ_BYTES):
                for part in frames.feed(data):
                    if isinstance(part, GoAway):
                        self._on_goodbye(part)
                        continue
                    for event in self._http.receive_data(part):
                        self._on_event(event)
                self._flush()
        except OSError as error:
            why = type(error).__name__
        except ProtocolError as error:
            why = f"{type(error).__name__}: {error}"
        self._ended = True
        self._writer.close()
        failure = Failure.RESET if self._goodbye is None else Failure.GOAWAY
        for stream in list(self._answers):
            self._lose(stream, RequestFailed(failure, f"the connection ended: {why}"))

    def _on_goodbye(self, goodbye: GoAway) -> None:
        self._goodbye = goodbye
        for stream in [stream for stream in self._answers if stream > goodbye.last_stream]:
            self._lose(stream, NotProcessed())
        if not self._answers:
            self._writer.close()

    def _on_event(self, event: Event) -> None:
        stream = getattr(event, "stream_id", None)
        if isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        answer = self._answers.get(stream) if stream else None
        if answer is None:
            return
        match event:
            case ResponseReceived(headers=headers):
                answer.headers = dict(headers)
            case DataReceived(data=data):
                answer.body += data
            case TrailersReceived(headers=headers):
                answer.trailers = dict(headers)
            case StreamEnded(stream_id=stream):
                if not answer.done.done():
                    answer.done.set_result(None)
            case StreamReset(stream_id=stream, error_code=ErrorCodes.REFUSED_STREAM):
                self._lose(stream, NotProcessed())
            case StreamReset(stream_id=stream, error_code=code):
                self._lose(stream, RequestFailed(Failure.RESET, f"stream reset with {code!s}"))

    def _lose(self, stream: int, error: Exception) -> None:
        done = self._answers[stream].done
        if not done.done():
            done.set_exception(error)


class Http2Client:
    """
    The client of all workers of a load, or of one of them if each request makes its own connection.

    Args:
        load: Where to ask, and whether a connection is kept.
        tally: Counts its connections, and what it sends again.
    """

    def __init__(self, load: Load, tally: Tally) -> None:
        self._load = load
        self._tally = tally
        self._line: Http2Line | None = None
        self._connecting = asyncio.Lock()

    async def ask(self, question: str) -> None:
        """
        Send one request and check the answer.

        Args:
            question: For HTTP/2 the path's last part, for gRPC the message; the right answer repeats it.

        Raises:
            RequestFailed: If there is no right answer.
        """
        request_id = self._tally.ids.next()
        for _ in range(TRIES):
            line = await self._usable_line()
            try:
                await self._ask_on(line, question, request_id)
            except NotProcessed:
                self._tally.repeated += 1
            else:
                return
            finally:
                if self._load.connection is Connection.NEW:
                    await line.close()
        raise RequestFailed(Failure.GOAWAY, f"not looked at on {TRIES} connections")

    def forget(self) -> None:
        """Keep the connection: a slow answer on one stream says nothing about the others."""

    async def close(self) -> None:
        """End."""
        if self._line is not None:
            await self._line.close()
            self._line = None

    async def _usable_line(self) -> Http2Line:
        if self._load.connection is Connection.NEW:
            return await self._connect()
        async with self._connecting:
            if self._line is None or not self._line.usable:
                self._line = await self._connect()
            return self._line

    async def _connect(self) -> Http2Line:
        try:
            reader, writer = await asyncio.open_connection(self._load.address, self._load.port)
        except OSError as error:
            raise RequestFailed(Failure.CONNECT, f"{type(error).__name__}: {error.strerror}") from error
        self._tally.connections += 1
        return Http2Line(reader, writer)

    async def _ask_on(self, line: Http2Line, question: str, request_id: str) -> None:
        if self._load.protocol is Protocol.GRPC:
            await _call(line, question, request_id)
        else:
            await _get(line, f"/{self._load.protocol}/{question}", request_id)


async def _get(line: Http2Line, path: str, request_id: str) -> None:
    answer = await line.exchange(
        [(":method", "GET"), (":scheme", "http"), (":authority", "load"), (":path", path), (HEADER, request_id)]
    )
    status = answer.headers.get(b":status", b"")
    if status != b"200":
        raise RequestFailed(Failure.STATUS, f"{status.decode()} {path}: {answer.body[:200]!r}")
    if answer.body != path.encode():
        raise RequestFailed(Failure.PROTOCOL, f"{path} was answered with {answer.body[:200]!r}")


async def _call(line: Http2Line, question: str, request_id: str) -> None:
    """A unary call as in github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md."""
    message = grpc_message(question.encode())
    answer = await line.exchange(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "load"),
            (":path", f"/{GRPC_SERVICE}/Echo"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            (HEADER, request_id),
        ],
        message,
    )
    # A server that fails at once says so in its headers: there are no trailers then.
    status = (answer.trailers or answer.headers).get(b"grpc-status", b"missing")
    if answer.headers.get(b":status") != b"200" or status != b"0":
        told = (answer.trailers or answer.headers).get(b"grpc-message", b"")
        raise RequestFailed(Failure.STATUS, f"grpc-status {status.decode()}: {told.decode()}")
    if answer.body != message:
        raise RequestFailed(Failure.PROTOCOL, f"{question} was answered with {answer.body[:200]!r}")
