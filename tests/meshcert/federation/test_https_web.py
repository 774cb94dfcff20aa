"""A bundle endpoint over real TLS: whom it has to prove to be, and what a bad one costs."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from entrypoint.judging.memory_file import memory_file
from evidence.fixtures.bundle_endpoint import served
from evidence.fixtures.pki import Hierarchy
from meshcert.errors import (
    BundleEndpointNotProven,
    BundleEndpointUnreachable,
    BundleNotGiven,
    BundleRedirected,
    BundleTooLong,
    MeshcertError,
)
from meshcert.federation.endpoints import DeclaredEndpoint
from meshcert.federation.https_web import HttpsWebEndpoints, system_trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.material import Material

PUBLIC = Hierarchy(2, name="public")
HOST = PUBLIC.issue(["localhost"])
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"keys":[]}'
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WITHIN_S, PATIENT_S = 1.5, 60.0
"""In place of fifteen seconds: where the time is to run out, and where it is not, however busy the machine."""
LATE = "no whole answer within"


def fetch(url: str, within_s: float = PATIENT_S) -> bytes:
    """What an endpoint gives to somebody who trusts the test's CA alone."""
    context = ssl.create_default_context(cadata=PUBLIC.root_pem)
    return HttpsWebEndpoints(context, within_s).fetch(DeclaredEndpoint("partner.example", url))


def test_a_document_is_fetched_by_its_whole_url() -> None:
    """Path and query; TLS has proven the host."""
    with served(GOOD, HOST) as endpoint:
        assert fetch(endpoint.url) == b'{"keys":[]}'

    (request,) = endpoint.requests
    assert request.startswith(b"GET /bundle.json?version=1 HTTP/1.1\r\nHost: localhost")


def test_the_systems_cas_are_those_of_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local AWS names its own by ``SSL_CERT_FILE``; no setting makes anybody believed."""
    with served(GOOD, HOST) as endpoint:
        with pytest.raises(BundleEndpointNotProven):
            HttpsWebEndpoints().fetch(DeclaredEndpoint("partner.example", endpoint.url))
        with memory_file(PUBLIC.root_pem) as file:
            monkeypatch.setenv("SSL_CERT_FILE", file)
            assert HttpsWebEndpoints().fetch(DeclaredEndpoint("partner.example", endpoint.url))
    assert system_trust().minimum_version is ssl.TLSVersion.TLSv1_2
    assert system_trust().check_hostname


NOW = dt.datetime.now(dt.UTC)
UNPROVEN = {
    "another-name": lambda: PUBLIC.issue(["partner.example"]),
    "another-ca": lambda: Hierarchy(2, name="public").issue(["localhost"]),
    "ended": lambda: PUBLIC.issue(["localhost"], not_after=NOW - dt.timedelta(minutes=1)),
}


@pytest.mark.parametrize("issue", UNPROVEN.values(), ids=UNPROVEN)
def test_whoever_does_not_prove_to_be_the_host_is_not_asked(issue: Callable[[], Material]) -> None:
    """No request is sent."""
    with served(GOOD, issue()) as endpoint, pytest.raises(BundleEndpointNotProven, match="did not prove"):
        fetch(endpoint.url)

    assert not endpoint.requests


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    _for_ever(connection, b"{")


def _drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _for_ever(connection, b"a")


def _continue(connection: socket.socket) -> None:
    _for_ever(connection, b"HTTP/1.1 100 Continue\r\n\r\n")


def _for_ever(connection: socket.socket, piece: bytes) -> None:
    while True:
        connection.sendall(piece)
        time.sleep(0.05)  # the slowness of a bad server, and not a wait for anything


def _silent(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    connection.recv(1 << 20)


def _endless(connection: socket.socket) -> None:
    connection.sendall(ENDLESS)
    while True:
        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def _negative_chunk(connection: socket.socket) -> None:
    """To ``http.client`` a chunk of -1 bytes goes on until the stream's end."""
    connection.sendall(ENDLESS + b"-1\r\n")
    for _ in range(64):
        connection.sendall(b" " * 0x10000)


def _status(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {line}", *headers, "Content-Length: 0", "", ""]).encode()


BAD: dict[str, tuple[Callable[[socket.socket], None] | bytes, type[MeshcertError], str]] = {
    "redirected": (_status("302 Found", "Location: https://evil.example/"), BundleRedirected, "https://evil.example/"),
    "moved": (_status("308 Permanent Redirect", "Location: /new.json"), BundleRedirected, "HTTP 308"),
    "missing": (_status("404 Not Found"), BundleNotGiven, "HTTP 404"),
    "nothing": (_status("204 No Content"), BundleNotGiven, "HTTP 204"),
    "throttled": (_status("429 Too Many Requests"), BundleEndpointUnreachable, "HTTP 429"),
    "broken": (_status("503 Service Unavailable"), BundleEndpointUnreachable, "HTTP 503"),
    "endless": (_endless, BundleTooLong, "262,144 bytes"),
    "announced-long": (GOOD.replace(b"11", b"999999") + b" " * 300_000, BundleTooLong, "262,144 bytes"),
    "cut-off": (GOOD.replace(b"11", b"12"), BundleEndpointUnreachable, "IncompleteRead"),
    "cut-off-chunks": (ENDLESS + b"5\r\n{}", BundleEndpointUnreachable, "IncompleteRead"),
    "negative-chunk": (_negative_chunk, BundleEndpointUnreachable, "LineTooLong"),
    "no-http": (b"garbage\r\n", BundleEndpointUnreachable, "BadStatusLine"),
    "hung-up": (b"", BundleEndpointUnreachable, "RemoteDisconnected"),
    "many-headers": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, BundleEndpointUnreachable, "HTTPException"),
    "slow-body": (_drip, BundleEndpointUnreachable, LATE),
    "slow-headers": (_drip_headers, BundleEndpointUnreachable, LATE),
    "for-ever-continue": (_continue, BundleEndpointUnreachable, LATE),
    "silent": (_silent, BundleEndpointUnreachable, LATE),
}


@pytest.mark.parametrize(("answer", "error", "told"), BAD.values(), ids=BAD)
def test_each_thing_an_endpoint_can_do_wrong_has_its_error(
    answer: Callable[[socket.socket], None] | bytes, error: type[MeshcertError], told: str
) -> None:
    """It names the trust domain and what happened, within bounds of bytes and time."""
    begun = time.monotonic()

    within_s = WITHIN_S if told == LATE else PATIENT_S
    with served(answer, HOST) as endpoint, pytest.raises(error) as caught:
        fetch(endpoint.url, within_s)

    assert type(caught.value) is error
    assert told in str(caught.value)
    assert "partner.example" in str(caught.value)
    assert time.monotonic() - begun < PATIENT_S


def test_a_handshake_without_an_end_is_given_up() -> None:
    """Whoever accepts connections and says nothing."""
    with served(_silent, None) as endpoint, pytest.raises(BundleEndpointUnreachable, match=LATE):
        fetch(endpoint.url, WITHIN_S)


def test_plain_http_is_no_endpoint() -> None:
    """Nothing is sent in clear."""
    with (
        served(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), None) as endpoint,
        pytest.raises(BundleEndpointUnreachable, match="cannot be reached"),
    ):
        fetch(endpoint.url)


def test_a_host_that_is_not_there_is_unreachable() -> None:
    """A closed port, and a name that is none."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for host in (f"localhost:{port}", f"{'a' * 64}.example"):
        with pytest.raises(BundleEndpointUnreachable, match="cannot be reached"):
            fetch(f"https://{host}/")
