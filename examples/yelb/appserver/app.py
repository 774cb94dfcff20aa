"""
Yelb's appserver: counts page views in Redis and votes in PostgreSQL.

It connects to both on loopback, as if they ran beside it: these are the local ports of its Envoy, which carries the
sessions on over mutual TLS. So neither a certificate nor a host name stands here.

``PORT`` (default 8080) says where it listens, ``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) where its loopback is.
With ``MESHCERT_REQUESTS_SEEN``, as the local AWS sets it, the ids of requests go into that pipe.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from contextlib import closing, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pg8000.native

LOOPBACK = os.environ.get("MESHCERT_LOOPBACK_ADDRESS", "127.0.0.1")
REDIS, POSTGRES = 6379, 5432
TIMEOUT_S = 15.0
REQUESTS_SEEN = os.environ.get("MESHCERT_REQUESTS_SEEN", "")


def count_page_view() -> int:
    """One page view more; returns how many there are."""
    with socket.create_connection((LOOPBACK, REDIS), TIMEOUT_S) as session, session.makefile("rb") as answers:
        session.sendall(b"INCR pageviews\r\n")
        answer = answers.readline()
    if not answer.startswith(b":"):
        raise OSError(f"Redis answered {answer!r}")
    return int(answer[1:])


def votes(restaurant: str = "") -> dict[str, int]:
    """The votes of every restaurant, after one more for this one if it is named."""
    with closing(
        pg8000.native.Connection("yelb", host=LOOPBACK, port=POSTGRES, database="postgres", timeout=TIMEOUT_S)
    ) as database:
        if restaurant:
            database.run("UPDATE restaurants SET count = count + 1 WHERE name = :name", name=restaurant)
        return dict(database.run("SELECT name, count FROM restaurants ORDER BY name"))


class Appserver(BaseHTTPRequestHandler):
    """``/api/getstats``, ``/api/getvotes``, and a vote: ``/api/`` with a restaurant's name."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet: in two, delayed acknowledgements would hold the second back.
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer."""
        if REQUESTS_SEEN and (request_id := self.headers.get("meshcert-request-id")):
            note(request_id)
        asked = self.path.rpartition("/")[2]
        try:
            if asked == "getstats":
                said: dict[str, int] = {"pageviews": count_page_view()}
            elif asked == "getvotes":
                said = votes()
            else:
                said = votes(asked)
            status = HTTPStatus.OK
        except (OSError, pg8000.Error) as error:
            status, said = HTTPStatus.BAD_GATEWAY, {repr(error): 0}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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
    """A thread for each connection, and room for Envoy to open many at once."""

    request_queue_size = 128


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    with Server((LOOPBACK, int(os.environ.get("PORT", "8080"))), Appserver) as server:

        def stop(*_: object) -> None:
            # From a thread of its own: shutdown() waits for the loop that this handler interrupts.
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
