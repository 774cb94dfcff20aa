"""
Yelb's user interface: a page with page views and votes, which it asks the appserver for.

It asks ``http://appserver.yelb.internal/api``, or what ``YELB_APPSERVER`` names, as if there were no mesh:
``proxy_environment: true`` in the mesh file sets HTTP_PROXY, so Python sends the request to the egress listener of the
Envoy beside it, which carries it on over mutual TLS. ``PORT`` (default 8080) and ``MESHCERT_LOOPBACK_ADDRESS`` (default
127.0.0.1) say where it listens. With ``MESHCERT_REQUESTS_SEEN``, as the local AWS sets it, the ids of requests go into
that pipe.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import suppress
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

APPSERVER = os.environ.get("YELB_APPSERVER", "http://appserver.yelb.internal/api")
TIMEOUT_S = 15.0
REQUESTS_SEEN = os.environ.get("MESHCERT_REQUESTS_SEEN", "")


def ask(what: str, request_id: str) -> dict[str, Any]:
    """What the appserver says; the request gets an id of its own, made of the one that caused it."""
    request = Request(f"{APPSERVER}/{what}", headers={"meshcert-request-id": f"{request_id}-{what}"})
    with urlopen(request, timeout=TIMEOUT_S) as answer:
        return dict(json.load(answer))


class Page(BaseHTTPRequestHandler):
    """The page; ``/vote/`` with a restaurant's name votes first."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet: in two, delayed acknowledgements would hold the second back.
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer."""
        request_id = self.headers.get("meshcert-request-id", "")
        if REQUESTS_SEEN and request_id:
            note(request_id)
        name = self.path.removeprefix("/vote/") if self.path.startswith("/vote/") else "getvotes"
        try:
            views, votes = ask("getstats", request_id)["pageviews"], ask(name, request_id)
            rows = "".join(f"<li>{escape(each)}: {count}</li>" for each, count in votes.items())
            body, status = f"<h1>Yelb</h1><ul>{rows}</ul><p>{views} page views</p>\n".encode(), HTTPStatus.OK
        except OSError as error:
            body, status = f"the appserver does not answer: {error}\n".encode(), HTTPStatus.BAD_GATEWAY
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
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
    with Server(address, Page) as server:

        def stop(*_: object) -> None:
            # From a thread of its own: shutdown() waits for the loop that this handler interrupts.
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
