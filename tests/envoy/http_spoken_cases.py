"""Requests as clients make them, and what becomes of them: the rows of the table in ``docs/proxy.md``."""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """
    One row.

    Args:
        request: All its bytes.
        status: Of the answer.
    """

    request: bytes
    status: int


def get(*fields: str, path: str = "/", version: str = "1.1", host: str = "Host: a") -> bytes:
    """A GET with these header fields."""
    lines = [f"GET {path} HTTP/{version}", *([host] if host else []), *fields, "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


def offer(protocol: str, path: str = "/", *fields: str) -> bytes:
    """A GET that offers to speak another protocol on this connection."""
    lines = [f"GET {path} HTTP/1.1", "Host: a", f"Upgrade: {protocol}", "Connection: Upgrade", *fields, "", ""]
    return "\r\n".join(lines).encode()


_KEY = ("Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13")

CASES = {
    "HTTP/1.1": Case(get(), 200),
    "HTTP/1.0": Case(get(version="1.0"), 200),
    "HTTP/1.0 without a host": Case(get(version="1.0", host=""), 200),
    "HTTP/1.1 without a host": Case(get(host=""), 400),
    "WebSocket": Case(offer("websocket", "/chat", *_KEY), 101),
    "WebSocket, in capitals": Case(offer("WebSocket", "/chat", *_KEY), 101),
    "WebSocket that the application does not take up": Case(offer("websocket", "/", *_KEY), 200),
    "WebSocket for a node that speaks http2 or grpc": Case(offer("websocket", "/grpc/chat", *_KEY), 403),
    "an offer of TLS (`Upgrade: TLS/1.2`)": Case(offer("TLS/1.2"), 200),
    "an offer of HTTP/2 (`Upgrade: h2c`)": Case(offer("h2c"), 200),
    "any other offer to upgrade": Case(offer("IRC/6.9"), 200),
    "an answer that offers to upgrade": Case(get(path="/offering"), 200),
    "an answer in HTTP/1.0": Case(get(path="/ten"), 200),
    "`Expect: 100-continue`": Case(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", 200
    ),
    "CONNECT": Case(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 404),
    "a Content-Length and a Transfer-Encoding": Case(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
    ),
    "two different Content-Lengths": Case(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", 400
    ),
    "a space before a colon": Case(get("Transfer-Encoding : chunked"), 400),
    "a Transfer-Encoding besides chunked": Case(get("Transfer-Encoding: chunked, identity"), 501),
    "an absolute URI (`GET http://other/ HTTP/1.1`)": Case(get(path="http://other/"), 200),
    "a host with a space": Case(get(host="Host: a b"), 400),
    "a head of 59 KiB": Case(get("Cookie: " + "a" * 59 * 1024), 200),
    "a head of more than 60 KiB": Case(get("Cookie: " + "a" * 61 * 1024), 431),
    "90 header fields": Case(get(*(f"x-{n}: 1" for n in range(88))), 200),
    "more than 100 header fields": Case(get(*(f"x-{n}: 1" for n in range(101))), 431),
}
"""By what the page calls it."""
