"""
One client of the Secret Discovery Service: gRPC over HTTP/2, bytes in and bytes out, without a socket.

HTTP/2 is ``h2``'s: its import takes 25 ms and 1.6 MB, which a thread does while Envoy is loading; ``grpcio`` would add
13 MB and 19 MB of image, and asyncio another 15 ms.
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
from h2.settings import SettingCodes

from entrypoint.grpc.framing import CallRefused, Deframer, Status, frame, percent_encoded
from entrypoint.grpc.wire import WireFault
from entrypoint.xds.subscriptions import Delta, StateOfTheWorld, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from entrypoint.xds.board import Board
    from entrypoint.xds.subscriptions import Subscription

SERVICE = "/envoy.service.secret.v3.SecretDiscoveryService/"
MOST_STREAMS = 256
"""At once on one connection; Envoy has one for each secret."""
LONGEST_FRAME = 128 * 1024
"""Bytes that may come without a frame being complete; h2 itself would collect 16 MB of one before it refuses it."""
MOST_UNFINISHED = 16 * 1024 * 1024
"""Bytes of unfinished requests that are kept for one connection: what Envoy could have with that many streams."""
MOST_UNSENT = 4 * 1024 * 1024
"""Bytes that may wait for a client to take them."""
MOST_EVENTS = 1_000
"""That one piece of 64 KiB may hold; Envoy's have a few."""

_GRPC = "application/grpc"


class ClientFault(Exception):
    """A client that broke a rule of HTTP/2 or took more than its share: its connection is to be closed."""


class _Call:
    """One stream: what has arrived, what is to be sent, and how it ends."""

    def __init__(self, subscription: Subscription | None) -> None:
        self.subscription = subscription
        self.deframer = Deframer()
        self.requests: list[bytes] = []
        self.unsent = bytearray()
        self.end: tuple[Status, str] | None = None
        self.begun = False
        self.client_is_done = False

    @property
    def is_unfinished(self) -> bool:
        """Whether the client owes the rest of a message, or of a single request."""
        return bool(len(self.deframer)) or (self.subscription is None and self.end is None)


class Client(NamedTuple):
    """
    Whom a connection is with.

    Args:
        is_envoy: Whether its word on a secret counts.
        on_unknown: Told of every secret's name it asks for that is none.
    """

    is_envoy: bool
    on_unknown: Callable[[str], object]


class Connection:
    """
    What one client sends and is sent.

    Args:
        board: Where the secrets are.
        client: Whom it is with.
    """

    def __init__(self, board: Board, client: Client) -> None:
        self._board = board
        self._client = client
        self._calls: dict[int, _Call] = {}
        self._greeted = False
        self._of_one_frame = 0
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._http.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = MOST_STREAMS
        self._http.initiate_connection()

    @property
    def is_unfinished(self) -> bool:
        """Whether the client owes something: its greeting, or the rest of a message."""
        return not self._greeted or any(call.is_unfinished for call in self._calls.values())

    def receive(self, data: bytes) -> bytes:
        """
        Take what has arrived.

        Args:
            data: At most 64 KiB.

        Returns:
            What to send.

        Raises:
            ClientFault: If the connection must be closed.
        """
        try:
            events = self._http.receive_data(data)
            if len(events) > MOST_EVENTS:
                raise ClientFault("too many frames at once")
            self._of_one_frame = 0 if events else self._of_one_frame + len(data)
            if self._of_one_frame > LONGEST_FRAME:
                raise ClientFault("a frame that is too long")
            for event in events:
                self._on(event)
        except ProtocolError as error:
            raise ClientFault(type(error).__name__) from None
        if sum(len(call.deframer) for call in self._calls.values()) > MOST_UNFINISHED:
            raise ClientFault("too many unfinished requests")
        return self._sent()

    def news(self) -> bytes:
        """What to send because the board has changed; raises as :meth:`receive` does."""
        for call in self._calls.values():
            if call.subscription and call.begun and call.end is None and (message := call.subscription.news()):
                call.unsent += frame(message)
        return self._sent()

    def _sent(self) -> bytes:
        try:
            for stream in tuple(self._calls):
                self._flush(stream)
        except ProtocolError as error:
            raise ClientFault(type(error).__name__) from None
        if sum(len(call.unsent) for call in self._calls.values()) > MOST_UNSENT:
            raise ClientFault("too much that it does not take")
        return bytes(self._http.data_to_send())

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream), headers=headers):
                self._begin(stream, {bytes(name): bytes(value) for name, value in headers or ()})
            case DataReceived(stream_id=int(stream), data=data, flow_controlled_length=length):
                self._http.acknowledge_received_data(length or 0, stream)
                if call := self._calls.get(stream):
                    self._read(call, data or b"")
            case StreamEnded(stream_id=int(stream)):
                if call := self._calls.get(stream):
                    call.client_is_done = True
                    self._finish(call)
            case StreamReset(stream_id=int(stream)):
                self._calls.pop(stream, None)
            case RemoteSettingsChanged():
                self._greeted = True
            case WindowUpdated():
                pass  # everything is flushed after every piece

    def _begin(self, stream: int, headers: dict[bytes, bytes]) -> None:
        if headers.get(b":method") != b"POST" or not headers.get(b"content-type", b"").startswith(_GRPC.encode()):
            self._http.send_headers(stream, [(":status", "415")], end_stream=True)
            return
        path = headers.get(b":path", b"").decode(errors="replace")
        called = path.removeprefix(SERVICE) if path.startswith(SERVICE) else ""
        kind = {"StreamSecrets": StateOfTheWorld, "DeltaSecrets": Delta}.get(called)
        is_envoy, on_unknown = self._client
        call = _Call(kind(self._board, is_envoy=is_envoy, on_unknown=on_unknown) if kind else None)
        if not kind and called != "FetchSecrets":
            call.end = Status.UNIMPLEMENTED, "there is StreamSecrets, DeltaSecrets and FetchSecrets"
        self._calls[stream] = call
        self._http.send_headers(stream, [(":status", "200"), ("content-type", _GRPC)])

    def _read(self, call: _Call, data: bytes) -> None:
        if call.end:
            return
        with _ending(call):
            for message in call.deframer.feed(data):
                call.begun = True
                if call.subscription is None:
                    call.requests.append(message)
                    if len(call.requests) > 1:
                        raise CallRefused(Status.INVALID_ARGUMENT, "FetchSecrets takes one request")
                elif answer := call.subscription.receive(message):
                    call.unsent += frame(answer)

    def _finish(self, call: _Call) -> None:
        """The client has said all it will say on this stream."""
        if call.end:
            return
        with _ending(call):
            if len(call.deframer):
                raise CallRefused(Status.INVALID_ARGUMENT, "the last message is not whole")
            if call.subscription is None:
                if not call.requests:
                    raise CallRefused(Status.INVALID_ARGUMENT, "FetchSecrets takes one request")
                call.unsent += frame(fetch(self._board, call.requests[0], self._client.on_unknown))
            call.end = Status.OK, ""

    def _flush(self, stream: int) -> None:
        """Send as much as the client's windows allow; when everything is sent, the end, if it has come."""
        call = self._calls[stream]
        while call.unsent:
            window = min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size)
            if window <= 0:
                return
            self._http.send_data(stream, bytes(call.unsent[:window]))
            del call.unsent[:window]
        if call.end:
            status, reason = call.end
            trailers = [("grpc-status", str(int(status)))]
            if reason:
                trailers.append(("grpc-message", percent_encoded(reason)))
            self._http.send_headers(stream, trailers, end_stream=True)
            del self._calls[stream]
            if not call.client_is_done:
                self._http.reset_stream(stream, ErrorCodes.NO_ERROR)


@contextmanager
def _ending(call: _Call) -> Iterator[None]:
    """What goes wrong with a request ends its call, not the connection."""
    try:
        yield
    except CallRefused as refusal:
        call.end = refusal.status, refusal.reason
    except WireFault as fault:
        call.end = Status.INVALID_ARGUMENT, str(fault)
