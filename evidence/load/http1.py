"""HTTP/1.1: one request at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import h11

from evidence.load.loads import Connection
from evidence.load.tally import Failure, RequestFailed
from local.requests_seen import HEADER

if TYPE_CHECKING:
    from evidence.load.loads import Load
    from evidence.load.tally import Tally

_READ_BYTES = 65_536
_OK = 200


class _Line(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection

    @property
    def ended(self) -> bool:
        """True if the server has closed it; a client that sees this before it asks has lost nothing."""
        return self.reader.at_eof() or self.reader.exception() is not None or self.writer.is_closing()


class Http1Client:
    """
    One worker's client.

    Args:
        load: Where to ask, and whether a connection is kept.
        tally: Counts its connections.
    """

    def __init__(self, load: Load, tally: Tally) -> None:
        self._load = load
        self._tally = tally
        self._line: _Line | None = None

    async def ask(self, question: str) -> None:
        """
        Ask for the path of this name and check the answer.

        Args:
            question: The path's last part; the right answer's body is the path.

        Raises:
            RequestFailed: If there is no right answer.
        """
        path = f"/{self._load.protocol}/{question}"
        if self._line is None or self._line.ended:
            self.forget()
            self._line = await self._connect()
        try:
            status, body = await self._exchange(self._line, path, self._tally.ids.next())
        except OSError as error:
            self.forget()
            raise RequestFailed(Failure.RESET, f"{type(error).__name__} {path}") from error
        except h11.ProtocolError as error:
            self.forget()
            raise RequestFailed(Failure.PROTOCOL, f"{error} {path}") from error
        except RequestFailed:
            self.forget()
            raise
        if self._line.http.our_state is h11.MUST_CLOSE or self._line.http.their_state is not h11.DONE:
            self.forget()
        else:
            self._line.http.start_next_cycle()
        if status != _OK:
            raise RequestFailed(Failure.STATUS, f"{status} {path}: {body[:200]!r}")
        if body != path.encode():
            raise RequestFailed(Failure.PROTOCOL, f"{path} was answered with {body[:200]!r}")

    def forget(self) -> None:
        """Give the connection up; the next question makes a new one."""
        if self._line is not None:
            self._line.writer.close()
            self._line = None

    async def close(self) -> None:
        """End."""
        if self._line is not None:
            writer = self._line.writer
            self.forget()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> _Line:
        try:
            reader, writer = await asyncio.open_connection(self._load.address, self._load.port)
        except OSError as error:
            raise RequestFailed(Failure.CONNECT, f"{type(error).__name__}: {error.strerror}") from error
        self._tally.connections += 1
        return _Line(reader, writer, h11.Connection(h11.CLIENT))

    async def _exchange(self, line: _Line, path: str, request_id: str) -> tuple[int, bytes]:
        headers = [("host", "load"), (HEADER, request_id)]
        if self._load.connection is Connection.NEW:
            headers.append(("connection", "close"))
        request = h11.Request(method="GET", target=path, headers=headers)
        line.writer.write(line.http.send(request) + line.http.send(h11.EndOfMessage()))
        status, body = 0, b""
        while True:
            match line.http.next_event():
                case h11.Response(status_code=status):
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    return status, body
                case h11.NEED_DATA:
                    data = await line.reader.read(_READ_BYTES)
                    if not data:
                        raise RequestFailed(
                            Failure.RESET, f"closed before {'the end of ' * bool(status)}the answer {path}"
                        )
                    line.http.receive_data(data)
