"""HTTP/2 for httpx whose requests outlive a goodbye: httpx gives them up when a GOAWAY comes before their answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from local.http2_frames import Frames, GoAway

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

_READ_BYTES = 65_536
_OF_A_CONNECTION = frozenset({b"connection", b"host", b"keep-alive", b"transfer-encoding"})
"""Fields that HTTP/2 has no place for (RFC 9113 section 8.2.2), or another name."""


class Http2Transport(httpx.BaseTransport):
    """
    One request at a time, over a connection that is kept until its server says goodbye.

    Args:
        context: With which connections are made; None: in plain text, as both know (RFC 9113 section 3.3).
        timeout_s: Longest silence, seconds.
    """

    def __init__(self, context: ssl.SSLContext | None, timeout_s: float) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        if context:
            context.set_alpn_protocols(["h2"])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """
        The answer to a request.

        Raises:
            httpx.RemoteProtocolError: If the server took the request and does not answer, or refuses it.
            httpx.ConnectError: If there is no connection.
            httpx.ReadTimeout: If nothing comes.
        """
        try:
            while True:
                if self._connection is None or self._connection.is_left:
                    self.close()
                    self._connection = self._connect(request)
                try:
                    return self._connection.exchange(request)
                except _NotTaken:
                    # It may be sent again: nobody has looked at it (RFC 9113 section 8.7).
                    continue
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _connect(self, request: httpx.Request) -> _Connection:
        url = request.url
        try:
            connected = socket.create_connection((url.host, url.port or 0), self._timeout_s)
            if self._context:
                name = request.extensions.get("sni_hostname", url.host)
                connected = self._context.wrap_socket(connected, server_hostname=name)
            return _Connection(connected)
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error


class _NotTaken(Exception):
    """The server has left the connection and this request out."""


class _Connection:
    """
    One connection.

    Args:
        connected: Its socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._frames = Frames()
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._http.initiate_connection()
        self._send()
        self.is_left = False
        """Whether the server takes no more requests on it."""

    def close(self) -> None:
        self._socket.close()

    def exchange(self, request: httpx.Request) -> httpx.Response:
        stream = self._http.get_next_available_stream_id()
        content = request.read()
        fields = [(name.lower(), value) for name, value in request.headers.raw if name.lower() not in _OF_A_CONNECTION]
        head = {":method": request.method, ":scheme": request.url.scheme, ":authority": request.headers["host"]}
        head[":path"] = request.url.raw_path.decode()
        self._http.send_headers(stream, [*head.items(), *fields], end_stream=not content)
        if content:
            self._http.send_data(stream, content, end_stream=True)
        answered: list[tuple[bytes, bytes]] = []
        body = b""
        try:
            self._send()
            for event in self._events(stream):
                match event:
                    case ResponseReceived() | TrailersReceived():
                        answered += [(bytes(name), bytes(value)) for name, value in event.headers]
                    case DataReceived():
                        body += event.data
                        self._http.acknowledge_received_data(event.flow_controlled_length, stream)
                    case StreamReset():
                        raise httpx.RemoteProtocolError(f"reset: {event.error_code!r}", request=request)
                    case StreamEnded():
                        break
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer", request=request) from error
        except (OSError, ProtocolError) as error:
            raise httpx.RemoteProtocolError(repr(error), request=request) from error
        status = next(int(value) for name, value in answered if name == b":status")
        return httpx.Response(status, headers=[field for field in answered if field[0] != b":status"], content=body)

    def _events(self, stream: int) -> Iterator[Event]:
        """What comes on a stream; raises OSError when nothing more will."""
        while True:
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError("the connection ended before the answer")
            for part in self._frames.feed(data):
                if isinstance(part, GoAway):
                    self.is_left = True
                    if part.error != ErrorCodes.NO_ERROR:
                        raise ConnectionResetError(f"the server left: error {part.error}")
                    if part.last_stream < stream:
                        raise _NotTaken
                    continue
                yield from (event for event in self._http.receive_data(part) if _of(event) in (stream, None))
                self._send()

    def _send(self) -> None:
        if data := self._http.data_to_send():
            self._socket.sendall(data)


def _of(event: Event) -> int | None:
    """The stream that an event is about; None if it is about the connection."""
    stream: int | None = getattr(event, "stream_id", None)
    return stream
