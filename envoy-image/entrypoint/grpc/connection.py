"""
One client's connection: gRPC over HTTP/2 as bytes in and bytes out, without a socket.

``h2`` speaks HTTP/2. Its import takes 25 ms and 1.6 MB, in a thread while Envoy is loading; ``grpcio`` would add 13 MB
of memory and 19 MB of image, and asyncio another 15 ms.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from entrypoint.grpc.framing import CallEnded, Deframer, Status, frame, percent_encoded
from entrypoint.grpc.wire import WireFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from entrypoint.grpc.service import Services, Stream
    from entrypoint.grpc.socket import Peer

LONGEST_FRAME = 128 * 1024
"""Most bytes of an incomplete frame; h2 alone would collect 16 MB before it refuses one."""
MOST_UNFINISHED = 16 * 1024 * 1024
"""Most bytes of unfinished requests that are kept for one connection: what Envoy could have with 256 streams."""
MOST_UNSENT = 4 * 1024 * 1024
"""Most bytes that may wait for a client to read them."""
MOST_EVENTS = 1_000
"""Most frames in one piece of 64 KiB; Envoy's pieces have a few."""

_GRPC = "application/grpc"


class Limits(NamedTuple):
    """
    The limits for the clients of one socket.

    Args:
        connections: Open connections at once, counted separately for each user and set of attributes. Envoy has one.
        streams: Open streams at once on one connection. Envoy has one for each resource.
        message: Size of one request, bytes. The first request of each of Envoy's streams names all its extensions and
            has 60 KB; later ones have a hundred bytes.
        patience_s: Longest time for a client to finish what it has begun to send, or to read what it is sent, seconds.
    """

    connections: int = 16
    streams: int = 256
    message: int = 256 * 1024
    patience_s: float = 10.0


class ClientFault(Exception):
    """A client broke a rule of HTTP/2 or exceeded a limit: its connection must be closed."""


class _ServerCall:
    """The state of one HTTP/2 stream: what has arrived, what is to be sent, and how it ends."""

    def __init__(self, largest_message: int) -> None:
        self.stream: Stream | None = None
        self.deframer = Deframer(largest_message)
        self.unsent = bytearray()
        self.end: tuple[Status, str] | None = None
        self.half_closed = False

    @property
    def is_unfinished(self) -> bool:
        """True while the client owes a request or the rest of one."""
        return bool(len(self.deframer)) or bool(self.end is None and self.stream and self.stream.awaits_request)

    def send(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            self.unsent += frame(message)


class ServerConnection:
    """
    The server's end of one connection.

    Args:
        services: All methods that this client may call.
    """

    def __init__(self, services: Services, peer: Peer, limits: Limits) -> None:
        self._services = services
        self._peer = peer
        self._limits = limits
        self._calls: dict[int, _ServerCall] = {}
        self._greeted = False
        self._incomplete_frame = 0
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        # From the first byte on: Envoy opens all its streams before it reads our settings (RFC 9113, 6.5.2), and what
        # is set later counts only once it has acknowledged them. With h2's own 100, its connection would be closed.
        self._http.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE,
            },
        )
        self._http.initiate_connection()

    @property
    def is_unfinished(self) -> bool:
        """True while the client owes something: its HTTP/2 preface, a request, or the rest of one."""
        return not self._greeted or any(call.is_unfinished for call in self._calls.values())

    def receive(self, data: bytes) -> bytes:
        """
        Take what has arrived, and return what to send.

        Args:
            data: At most 64 KiB.

        Raises:
            ClientFault: If the connection must be closed.
        """
        try:
            events = self._http.receive_data(data)
            if len(events) > MOST_EVENTS:
                raise ClientFault("too many frames at once")
            self._incomplete_frame = 0 if events else self._incomplete_frame + len(data)
            if self._incomplete_frame > LONGEST_FRAME:
                raise ClientFault("a frame that is too long")
            for event in events:
                self._on(event)
        except ProtocolError as error:
            raise ClientFault(type(error).__name__) from None
        if sum(len(call.deframer) for call in self._calls.values()) > MOST_UNFINISHED:
            raise ClientFault("too many unfinished requests")
        return self._to_send()

    def update(self) -> bytes:
        """Ask every open call for news, and return what to send; raises as :meth:`receive` does."""
        for call in self._calls.values():
            if call.stream and call.end is None:
                with _ending(call):
                    call.send(call.stream.update())
        return self._to_send()

    def _to_send(self) -> bytes:
        try:
            for number in tuple(self._calls):
                self._flush(number)
        except ProtocolError as error:
            raise ClientFault(type(error).__name__) from None
        if sum(len(call.unsent) for call in self._calls.values()) > MOST_UNSENT:
            raise ClientFault("too much that it does not take")
        return bytes(self._http.data_to_send())

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(number), headers=headers):
                self._begin(number, {bytes(name): bytes(value) for name, value in headers or ()})
            case DataReceived(stream_id=int(number), data=data, flow_controlled_length=length):
                self._http.acknowledge_received_data(length or 0, number)
                if call := self._calls.get(number):
                    self._read(call, data or b"")
            case StreamEnded(stream_id=int(number)):
                if call := self._calls.get(number):
                    call.half_closed = True
                    self._half_close(call)
            case StreamReset(stream_id=int(number)):
                self._calls.pop(number, None)
            case RemoteSettingsChanged():
                self._greeted = True
            case WindowUpdated():
                pass  # everything is flushed after every piece

    def _begin(self, number: int, headers: dict[bytes, bytes]) -> None:
        if headers.get(b":method") != b"POST" or not headers.get(b"content-type", b"").startswith(_GRPC.encode()):
            self._http.send_headers(number, [(":status", "415")], end_stream=True)
            return
        call = self._calls[number] = _ServerCall(self._limits.message)
        self._http.send_headers(number, [(":status", "200"), ("content-type", _GRPC)])
        text = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in headers.items()}
        with _ending(call):
            if (method := self._services.get(text.get(":path", ""))) is None:
                raise CallEnded(Status.UNIMPLEMENTED, f"there is {', '.join(self._services)}")
            metadata = {name: value for name, value in text.items() if not name.startswith(":")}
            call.stream = method(metadata, self._peer)

    def _read(self, call: _ServerCall, data: bytes) -> None:
        if call.end or call.stream is None:
            return
        with _ending(call):
            for message in call.deframer.feed(data):
                call.send(call.stream.receive(message))

    def _half_close(self, call: _ServerCall) -> None:
        if call.end or call.stream is None:
            return
        with _ending(call):
            if len(call.deframer):
                raise CallEnded(Status.INVALID_ARGUMENT, "the last message is incomplete")
            call.send(call.stream.half_close())

    def _flush(self, number: int) -> None:
        """Send as much as the client's windows allow, and after everything the status, if the call has ended."""
        call = self._calls[number]
        while call.unsent:
            window = min(self._http.local_flow_control_window(number), self._http.max_outbound_frame_size)
            if window <= 0:
                return
            self._http.send_data(number, bytes(call.unsent[:window]))
            del call.unsent[:window]
        if call.end:
            status, reason = call.end
            trailers = [("grpc-status", str(int(status)))]
            if reason:
                trailers.append(("grpc-message", percent_encoded(reason)))
            self._http.send_headers(number, trailers, end_stream=True)
            del self._calls[number]
            if not call.half_closed:
                self._http.reset_stream(number, ErrorCodes.NO_ERROR)


@contextmanager
def _ending(call: _ServerCall) -> Iterator[None]:
    """A fault of a request ends its call, not the connection."""
    try:
        yield
    except CallEnded as ended:
        call.end = ended.status, ended.reason
    except WireFault as fault:
        call.end = Status.INVALID_ARGUMENT, str(fault)
