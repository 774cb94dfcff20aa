"""
The application behind a node: repeats what it is asked, in HTTP/1.1, HTTP/2 and gRPC, on one clear-text port.

Which of them a caller speaks shows in its first bytes, as no HTTP/1.1 request begins with HTTP/2's preface.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import h11
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError

from local.http2_frames import PREFACE_BYTES, Frames, GoAway
from local.requests_seen import HEADER, write_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HTTP2_BEGINS = b"PRI "
_READ_BYTES = 65_536
_GRPC = b"application/grpc"
_REQUEST_ID = HEADER.encode()


async def serve(address: str, port: int, seen: Path | None = None) -> asyncio.Server:
    """
    Listen.

    Args:
        address: IPv4 address to bind.
        port: TCP port; 0 takes a free one.
        seen: A pipe for the ids of requests (:mod:`local.requests_seen`).
    """
    return await asyncio.start_server(partial(_on_connection, seen), address, port, backlog=512)


async def _on_connection(seen: Path | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def note(request_id: bytes | None) -> None:
        if seen is not None and request_id:
            write_id(str(seen), request_id.decode())

    with suppress(OSError, asyncio.IncompleteReadError):  # the caller has gone, which is its right
        first = await reader.readexactly(len(_HTTP2_BEGINS))
        await (_speak_http2 if first == _HTTP2_BEGINS else _speak_http1)(first, reader, writer, note)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _speak_http1(
    data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes | None], None]
) -> None:
    http = h11.Connection(h11.SERVER)
    path = b""
    while data:
        http.receive_data(data)
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError:
                return
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                break
            if isinstance(event, h11.Request):
                path = event.target
                note(dict(event.headers).get(_REQUEST_ID))
            if isinstance(event, h11.EndOfMessage):
                response = h11.Response(status_code=200, headers=[("content-length", str(len(path)))])
                writer.write(http.send(response) + http.send(h11.Data(data=path)) + http.send(h11.EndOfMessage()))
                if http.our_state is h11.MUST_CLOSE:
                    return
                http.start_next_cycle()
        data = await reader.read(_READ_BYTES)


async def _speak_http2(
    data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes | None], None]
) -> None:
    http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    http.initiate_connection()
    frames, streams = Frames(PREFACE_BYTES), _Streams(http, note)
    while data:
        # A caller that says goodbye still waits for the answers to what it has asked.
        for part in frames.feed(data):
            if isinstance(part, GoAway):
                continue
            try:
                for event in http.receive_data(part):
                    streams.on_event(event)
            except ProtocolError:
                writer.write(http.data_to_send())
                return
        writer.write(http.data_to_send())
        data = await reader.read(_READ_BYTES)


class _Streams:
    """Requests whose end has not come yet."""

    def __init__(self, http: H2Connection, note: Callable[[bytes | None], None]) -> None:
        self._http = http
        self._note = note
        self._headers: dict[int, dict[bytes, bytes]] = {}
        self._bodies: dict[int, bytes] = {}

    def on_event(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int() as stream, headers=headers):
                self._headers[stream] = dict(headers)
                self._note(self._headers[stream].get(_REQUEST_ID))
            case DataReceived(stream_id=int() as stream, data=data, flow_controlled_length=length):
                self._bodies[stream] = self._bodies.get(stream, b"") + data
                self._http.acknowledge_received_data(length, stream)
            case StreamEnded(stream_id=int() as stream):
                with suppress(StreamClosedError):  # the caller no longer wants to know
                    self._answer(stream)
            case StreamReset(stream_id=int() as stream):
                self._headers.pop(stream, None)
                self._bodies.pop(stream, None)

    def _answer(self, stream: int) -> None:
        headers, body = self._headers.pop(stream), self._bodies.pop(stream, b"")
        if headers.get(b"content-type") == _GRPC:
            self._http.send_headers(stream, [(b":status", b"200"), (b"content-type", _GRPC)])
            self._http.send_data(stream, body)
            self._http.send_headers(stream, [(b"grpc-status", b"0")], end_stream=True)
            return
        path = headers[b":path"]
        self._http.send_headers(stream, [(b":status", b"200"), (b"content-length", str(len(path)).encode())])
        self._http.send_data(stream, path, end_stream=True)
