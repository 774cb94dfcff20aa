"""
The application of the examples of attached services: answers every GET with ``yellow``.

Told to stop, it goes on answering for ``DRAIN_S`` seconds (default 5), as whoever stands behind a load balancer must:
that one sends connections for some seconds after it has been told of the task's end. ``MESHCERT_LISTEN_ADDRESS``, which
the local AWS sets, says where it listens: there, tasks share one network.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = b"yellow"
REQUESTS_SEEN = os.environ.get("MESHCERT_REQUESTS_SEEN", "")


class Orders(BaseHTTPRequestHandler):
    """Answers, on a connection that stays open."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet: in two, delayed acknowledgements would hold the second back.
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer."""
        if REQUESTS_SEEN and (request_id := self.headers.get("meshcert-request-id")):
            note(request_id)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing."""


def note(request_id: str) -> None:
    """Tell whoever counts."""
    with suppress(OSError):
        pipe = os.open(REQUESTS_SEEN, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, f"{request_id}\n".encode())
        finally:
            os.close(pipe)


class Server(ThreadingHTTPServer):
    """A thread for each connection, and room for many at once."""

    request_queue_size = 128
    daemon_threads = True


ADDRESS = (os.environ.get("MESHCERT_LISTEN_ADDRESS", ""), int(os.environ.get("PORT", "8080")))


def check() -> None:
    """Raise OSError unless the server listens: the container's health check."""
    socket.create_connection((ADDRESS[0] or "127.0.0.1", ADDRESS[1]), 2).close()


def main() -> None:
    """Serve until SIGTERM or SIGINT, and a little longer."""
    with Server(ADDRESS, Orders) as server:

        def stop(*_: object) -> None:
            threading.Timer(float(os.environ.get("DRAIN_S", "5")), server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    check() if "check" in sys.argv else main()
