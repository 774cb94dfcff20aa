"""An application that answers as slowly, and as oddly, as its path says."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from evidence.fixtures.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_S = 0.3
"""Between two pieces of a flowing answer."""


class _Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """What the last part of the path says: ``slow-2``, ``flow-10``, ``events-3``, ``chat``, ``ten``, ``head``."""
        kind, _, number = self.path.rpartition("/")[2].partition("-")
        match kind:
            case "chat" if self.headers.get("Upgrade", "").lower() == "websocket":
                self._chat()
            case "slow":
                time.sleep(float(number))
                self._answer(b"ok")
            case "flow":
                self.send_response(200)
                self.send_header("Content-Length", number)
                self.end_headers()
                for _ in range(int(number)):
                    self.wfile.write(b"x")
                    time.sleep(STEP_S)
            case "events":
                self._tell(int(number))
            case "ten":
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nok")
                self.close_connection = True
            case "offering":
                self._answer(b"ok", Upgrade="h2,h2c", Connection="Upgrade")
            case "head":
                self._answer("\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode())
            case _:
                self._answer(b"ok")

    def do_POST(self) -> None:
        """Read everything, however slowly it comes, and say how much it was."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(str(len(body)).encode())

    def _tell(self, count: int) -> None:
        """Server-sent events (WHATWG HTML, 9.2), in chunks: nobody knows how long it will be."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(count):
            event = f"data: {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            time.sleep(STEP_S)
        self.wfile.write(b"0\r\n\r\n")

    def _chat(self) -> None:
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: x\r\n\r\n"
        )
        while said := self.connection.recv(100):
            self.connection.sendall(b"echo:" + said)
        self.close_connection = True

    def _answer(self, body: bytes, **fields: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        """Serve a connection; a proxy that cuts a request resets it."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def application(address: str, port: int = 8080) -> Iterator[None]:
    """The application, while the context lasts."""
    server = ThreadingHTTPServer((address, port), _Application)
    server.daemon_threads = True
    with serving(server):
        yield
