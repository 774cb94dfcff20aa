"""
HTTP/1.1 to one endpoint, over Python's own sockets and TLS, with a limit on every wait and every size.

By hand, because importing an HTTP client takes longer than all of a start's requests. Proxies that the environment may
name are not asked: nobody else has to see these requests. Tested beside the parser h11.
"""

from __future__ import annotations

import _thread
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from entrypoint.aws.answer_reading import AnswerReader, HttpAnswer
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from entrypoint.aws.endpoint import Endpoint

CONNECT_TIMEOUT_S = 3.0
"""Longest wait for each address of the host, and for the TLS handshake, seconds."""


class HttpRequest(NamedTuple):
    """
    A request.

    Args:
        path: Absolute; ASCII without spaces.
        headers: All of them, ``Host`` and ``Content-Length`` too.
    """

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""


class HttpConnection:
    """
    A connection to one endpoint, which is made in the background at once.

    It carries one request at a time: a second thread waits for its turn. After an error it is closed, because a late
    answer would be taken for the next one's.

    Args:
        authorities: Path of the CA certificates that the endpoint's is checked against; empty for the system's.
    """

    def __init__(self, endpoint: Endpoint, authorities: str = "") -> None:
        self._endpoint = endpoint
        self._authorities = authorities
        self._socket: socket.socket | None = None
        self._failure = ""
        self._closed = False
        self._turn = _thread.allocate_lock()
        self._making = _thread.allocate_lock()
        self._making.acquire()
        _thread.start_new_thread(self._make, ())

    def __del__(self) -> None:
        self.close()

    def wait(self, what: str, timeout_s: float) -> None:
        """
        Wait until it is made.

        Args:
            what: What is being waited for, for error messages.

        Raises:
            ConnectionError: If that fails or takes too long.
        """
        if not self._making.acquire(timeout=timeout_s):
            raise ConnectionError(f"no {what} within {timeout_s:g} s")
        self._making.release()
        if self._failure:
            raise ConnectionError(f"no {what}: {self._failure}")

    def is_open(self) -> bool:
        """False once it is closed, by this side or by the other, or could not be made."""
        if self._closed or self._failure:
            return False
        if self._socket is None or self._making.locked() or not self._turn.acquire(blocking=False):
            return True  # it is being made or used
        try:
            self._socket.settimeout(0)
            # What nobody has asked for is no better than an end.
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            self._turn.release()
        return False

    def exchange(self, request: HttpRequest, timeout_s: float) -> HttpAnswer:
        """
        Wait for the answer to a request, on a connection that is made.

        Args:
            timeout_s: Longest wait for the whole answer, seconds.

        Raises:
            ConnectionError: If the whole answer does not come in time, is no HTTP/1.1, or is larger than
                :data:`~entrypoint.aws.answer_reading.LARGEST_ANSWER`.
        """
        deadline = time.monotonic() + timeout_s
        if not self._turn.acquire(timeout=timeout_s):
            raise ConnectionError(f"no answer within {timeout_s:g} s")
        try:
            self._until(deadline).sendall(_written(request))
            reader = AnswerReader(lambda size: self._until(deadline).recv(size))
            answer, stays = reader.read()
            if not stays:
                self.close()  # before another thread has its turn: what is left over is no answer of its
        except TimeoutError as error:
            self.close()
            raise ConnectionError(f"no answer within {timeout_s:g} s") from error
        except (OSError, ValueError) as error:
            self.close()
            raise ConnectionError(f"no answer: {error}") from error
        finally:
            self._turn.release()
        return answer

    def close(self) -> None:
        """Close it, also while it is being made or used; this object must not be used again."""
        self._closed = True
        if made := self._socket:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for it, as closing alone does not
            made.close()

    def _make(self) -> None:
        try:
            # As bytes: for text, Python loads the tables of international names.
            host = self._endpoint.host.encode("ascii")
            made = socket.create_connection((host, self._endpoint.port), CONNECT_TIMEOUT_S)  # type: ignore[arg-type]
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._endpoint.tls:
                made = _tls_context(self._authorities).wrap_socket(made, server_hostname=host)
            self._socket = made
            if self._closed:
                self.close()
        except (OSError, ValueError) as error:
            self._failure = str(error) or type(error).__name__
        finally:
            self._making.release()

    def _until(self, deadline: float) -> socket.socket:
        """The socket, which waits until the deadline at most."""
        if self._socket is None or self._closed:
            raise ConnectionError("it is closed")
        if (left_s := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        return self._socket


def _written(request: HttpRequest) -> bytes:
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
    # Not quoted: a header may hold a token.
    if not all(line.isascii() and line.isprintable() for line in lines) or " " in request.path:
        raise ValueError("the request cannot be written, because part of it is no plain ASCII")
    return "\r\n".join([*lines, "", ""]).encode() + request.body


def _tls_context(authorities: str) -> ssl.SSLContext:
    """A context that demands a chain to these authorities and the host's name in the certificate; TLS 1.2 or later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities:
        context.load_verify_locations(authorities)
    else:
        # A folder in the image, of which only the one that is needed is read.
        context.set_default_verify_paths()
    return context
