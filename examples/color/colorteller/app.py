"""
The Color app's teller: answers every GET with ``yellow``.

It listens on loopback only: the Envoy in the same task is the one way in. ``PORT`` (default 8080) and
``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) say where. With ``MESHCERT_REQUESTS_SEEN``, as the local AWS sets it,
the ids of requests go into that pipe: the demo counts there that none comes twice.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = b"yellow"
REQUESTS_SEEN = os.environ.get("MESHCERT_REQUESTS_SEEN", "")


class Teller(BaseHTTPRequestHandler):
    """Tells the colour, on a connection that stays open."""

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
        """Say nothing: Envoy's access log has every request."""


def note(request_id: str) -> None:
    """Tell whoever counts."""
    with suppress(OSError):
        pipe = os.open(REQUESTS_SEEN, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, f"{request_id}\n".encode())
        finally:
            os.close(pipe)


class Server(ThreadingHTTPServer):
    """A thread for each connection, and room for Envoy to open many at once."""

    request_queue_size = 128


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    address = (os.environ.get("MESHCERT_LOOPBACK_ADDRESS", "127.0.0.1"), int(os.environ.get("PORT", "8080")))
    with Server(address, Teller) as server:

        def stop(*_: object) -> None:
            # From a thread of its own: shutdown() waits for the loop that this handler interrupts.
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
