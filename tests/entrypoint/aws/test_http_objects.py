"""Objects of web servers: got if they have changed, from the server that was named and no other."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from entrypoint.aws.answer_reading import LARGEST_ANSWER
from entrypoint.aws.http_objects import HttpObjects
from entrypoint.aws.object_storage import StoredObject
from meshcert.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = b"a revocation list"


class _Publisher(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer as the path says."""
        found = self.path == "/root.crl"
        known = self.headers.get("If-None-Match") == '"1"'
        status = {"/moved.crl": 302, "/gone.crl": 404}.get(self.path, 304 if found and known else 200)
        body = LIST if found else b"x" * (LARGEST_ANSWER + 1)
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Location", "/root.crl")
        if status == 200:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status == 200:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def publisher() -> Iterator[str]:
    """A web server on loopback, by its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Publisher) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_object_is_got_once_until_it_changes() -> None:
    """By its entity tag."""
    with publisher() as url:
        first = HttpObjects().read(f"{url}/root.crl")

        assert first == StoredObject(LIST, '"1"')
        assert HttpObjects().read(f"{url}/root.crl", '"1"') is None


@pytest.mark.parametrize(
    ("path", "reason"), [("moved.crl", "HTTP 302"), ("gone.crl", "HTTP 404"), ("long.crl", "no answer")]
)
def test_nobody_is_followed_elsewhere_and_nothing_too_long_is_read(path: str, reason: str) -> None:
    """What the mesh file names is asked, and may fill no memory."""
    with publisher() as url, pytest.raises(AwsUnavailable, match=reason):
        HttpObjects().read(f"{url}/{path}")


def test_a_server_that_is_not_there_is_an_outage() -> None:
    """Which heals, as an outage of S3 does."""
    with publisher() as url:
        pass
    with pytest.raises(AwsUnavailable, match="no connection"):
        HttpObjects().read(f"{url}/root.crl")
