"""HTTP/1.1 requests over the task's loopback, by hand: importing an HTTP client takes longer than all of them."""

from __future__ import annotations

import socket
import time

from meshcert.contract.container import ADMIN_PORT

_MOST_BYTES = 65_536


def status_of(address: str, port: int, path: str, timeout_s: float) -> int:
    """
    The status of the answer to a GET on a connection of its own.

    Raises:
        OSError: If nobody answers in time, or not with HTTP.
    """
    answer = _asked(address, port, path, timeout_s, until=b"\r\n")
    version, _, rest = answer.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ConnectionError("the answer is no HTTP")
    return int(rest[:3])


def text_of(address: str, port: int, path: str, timeout_s: float) -> str:
    """
    The whole answer to a GET, head and body as they come, 64 KiB at most.

    Raises:
        OSError: If nobody answers in time.
    """
    return _asked(address, port, path, timeout_s, until=b"").decode("utf-8", "replace")


def is_live(address: str, timeout_s: float) -> bool:
    """True if Envoy says that it is LIVE (``/ready``)."""
    try:
        return status_of(address, ADMIN_PORT, "/ready", timeout_s) == 200
    except OSError:
        return False


def _asked(address: str, port: int, path: str, timeout_s: float, until: bytes) -> bytes:
    """The first bytes of an answer, up to these, or all of it; the timeout is for the whole exchange."""
    deadline = time.monotonic() + timeout_s
    answer = b""
    with socket.create_connection((address, port), timeout_s) as connection:
        # The name under which a server knows itself; some answer 400 to a Host that is an address.
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: meshcert\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode("ascii"))
        while not (until and until in answer) and len(answer) < _MOST_BYTES:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            if not (received := connection.recv(_MOST_BYTES)):
                break
            answer += received
    return answer
