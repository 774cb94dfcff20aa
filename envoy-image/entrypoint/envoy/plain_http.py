"""HTTP/1.1 requests over the task's loopback, by hand: importing an HTTP client takes longer than all of them."""

from __future__ import annotations

import re
import socket
import time

from meshcert.contract.container import ADMIN_PORT

_AT_ONCE = 65_536
_LARGEST_ANSWER = 1 << 20
"""Most bytes of an answer. While Envoy does not listen, any program of the task may answer in its place."""
_CHUNKED = b"\r\ntransfer-encoding: chunked\r\n"
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")


def status_of(address: str, port: int, path: str, timeout_s: float) -> int:
    """
    The status of the answer to a GET on a connection of its own.

    Raises:
        OSError: If nobody answers in time, or not with HTTP, or with more than 1 MiB.
    """
    return _status(_asked("GET", address, port, path, timeout_s, until=b"\r\n"))


def answer_of(method: str, address: str, port: int, path: str, timeout_s: float) -> tuple[int, bytes]:
    """
    Status and body of the answer to a request without a body, on a connection of its own.

    Raises:
        OSError: If no whole answer comes in time, or it is not HTTP, or larger than 1 MiB.
    """
    return read_answer(_asked(method, address, port, path, timeout_s, until=b""))


def read_answer(answer: bytes) -> tuple[int, bytes]:
    """
    Status and body of a whole answer.

    Raises:
        ConnectionError: If it is not HTTP/1.1, or its end is missing.
    """
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        raise ConnectionError("the answer has no end")
    return _status(answer), _joined(body) if _CHUNKED in head.lower() + b"\r\n" else body


def is_live(address: str, timeout_s: float) -> bool:
    """True if Envoy says that it is LIVE (``/ready``)."""
    try:
        return status_of(address, ADMIN_PORT, "/ready", timeout_s) == 200
    except OSError:
        return False


def _status(answer: bytes) -> int:
    version, _, rest = answer.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ConnectionError("the answer is no HTTP")
    return int(rest[:3])


def _joined(chunks: bytes) -> bytes:
    """The body that came in chunks (RFC 9112, section 7.1)."""
    body, at = bytearray(), 0
    while size := _CHUNK_SIZE.match(chunks, at):
        if not (length := int(size[1], 16)):
            return bytes(body)
        body += chunks[size.end() : size.end() + length]
        at = size.end() + length + 2
    raise ConnectionError("the answer has no end")


def _asked(method: str, address: str, port: int, path: str, timeout_s: float, *, until: bytes) -> bytes:
    """The first bytes of an answer, up to these, or all of it; the timeout is for the whole exchange."""
    deadline = time.monotonic() + timeout_s
    answer = bytearray()
    with socket.create_connection((address, port), timeout_s) as connection:
        # The name under which a server knows itself; some answer 400 to a Host that is an address.
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: meshcert\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode("ascii"))
        while not (until and until in answer):
            if len(answer) > _LARGEST_ANSWER:
                raise ConnectionError(f"the answer is larger than {_LARGEST_ANSWER} bytes")
            # Also for one who sends byte after byte, so that none is waited for.
            if (left_s := deadline - time.monotonic()) <= 0:
                raise TimeoutError(f"no whole answer within {timeout_s:g} s")
            connection.settimeout(left_s)
            if not (received := connection.recv(_AT_ONCE)):
                break
            answer += received
    return bytes(answer)
