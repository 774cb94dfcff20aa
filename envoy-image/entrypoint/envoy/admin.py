"""Envoy's administration interface, as far as this container uses it."""

from __future__ import annotations

import http.client
import io
import socket
import time

from meshcert.bounded_json import MOST_BYTES
from meshcert.contract.container import ADMIN_PORT

TIMEOUT_S = 2.0
_PIECE = 65_536


class Admin:
    """
    The administration interface of one Envoy.

    Before Envoy listens, and after it has ended, any program of the task may answer there, so that answers are bounded.

    Args:
        address: The address without the port.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str) -> str:
        """
        The text under a path.

        Raises:
            OSError: If the whole answer does not come within 2 seconds, is larger than 1 MiB, or is not a 200 of HTTP.
        """
        return self._request("GET", path)

    def post(self, path: str) -> None:
        """
        Call a path that changes something.

        Raises:
            OSError: As :meth:`get`.
        """
        self._request("POST", path)

    def _request(self, method: str, path: str) -> str:
        deadline = time.monotonic() + TIMEOUT_S
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        answer = bytearray()
        with socket.create_connection((self._address, ADMIN_PORT), TIMEOUT_S) as connection:
            connection.sendall(head.encode("ascii"))
            while len(answer) <= MOST_BYTES:
                if (left_s := deadline - time.monotonic()) <= 0:
                    raise TimeoutError(f"{method} {path}: no whole answer within {TIMEOUT_S:g} s")
                connection.settimeout(left_s)
                if not (received := connection.recv(_PIECE)):
                    break
                answer += received
        if len(answer) > MOST_BYTES:
            raise ConnectionError(f"{method} {path}: the answer is larger than {MOST_BYTES} bytes")
        status, body = read_answer(bytes(answer))
        if status != http.client.OK:
            raise ConnectionError(f"{method} {path}: {status}")
        return body.decode(errors="replace")


def read_answer(answer: bytes) -> tuple[int, bytes]:
    """
    Status and body of a whole answer of HTTP/1.1.

    Raises:
        ConnectionError: If it is not one.
    """
    response = http.client.HTTPResponse(_Received(answer))  # type: ignore[arg-type]  # all it needs of a socket
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.HTTPException, ValueError) as error:
        raise ConnectionError(f"the answer is no HTTP ({type(error).__name__})") from error


class _Received:
    """What came, as the socket from which an answer is read."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._answer)
