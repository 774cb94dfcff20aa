"""
A colour: answers every GET with the name of its service, which one image for all of them learns from ECS.

``PORT`` (default 8080) and ``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) say where it listens. With
``MESHCERT_REQUESTS_SEEN``, as the local AWS sets it, the ids of requests go into that pipe.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, build_opener

TIMEOUT_S = 5.0
REQUESTS_SEEN = os.environ.get("MESHCERT_REQUESTS_SEEN", "")


def service() -> str:
    """The service of this task: its family is ``meshcert-MESH-SERVICE``. Where there is no ECS, ``gray``."""
    metadata = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if not metadata:
        return "gray"
    # Past any proxy: this address is the task's own.
    with build_opener(ProxyHandler({})).open(f"{metadata}/task", timeout=TIMEOUT_S) as answer:
        return str(json.load(answer)["Family"]).rpartition("-")[2]


COLOR = service()


class Color(BaseHTTPRequestHandler):
    """Tells the colour, on a connection that stays open."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet: in two, delayed acknowledgements would hold the second back.
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer."""
        if REQUESTS_SEEN and (request_id := self.headers.get("meshcert-request-id")):
            note(request_id)
        body, status = f"{COLOR}\n".encode(), HTTPStatus.OK
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing: Envoy counts every request."""


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
    with Server(address, Color) as server:

        def stop(*_: object) -> None:
            # From a thread of its own: shutdown() waits for the loop that this handler interrupts.
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
