"""A TLS client and a TLS server of our own, as good or as bad as their certificate: Envoy's peers in tests."""

from __future__ import annotations

import errno
import http.client
import secrets
import socket
import ssl
import struct
import warnings
from contextlib import closing, suppress
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Self

from entrypoint.judging.memory_file import memory_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tests.envoy.peers_certificates import Credential

TIMEOUT_S = 5.0
_OWN_PORTS = count(20_000 + secrets.randbelow(5_000))
"""Below those that the kernel takes by itself."""
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nyellow"


class Outcome(NamedTuple):
    """
    How a connection ended for the client.

    Args:
        answered: Whether it got an HTTP answer with status 200.
        port: Its own TCP port, by which Envoy's log names it.
        told: What its TLS library said, if anything.
    """

    answered: bool
    port: int
    told: str = ""


def tls_context(
    role: ssl._SSLMethod, credential: Credential | None, trusted: str, version: ssl.TLSVersion
) -> ssl.SSLContext:
    """
    A context of one TLS version that refuses nothing of its own: what is refused, Envoy refuses.

    Args:
        role: ``PROTOCOL_TLS_CLIENT`` or ``PROTOCOL_TLS_SERVER``.
        credential: What to present; None: nothing.
        trusted: Roots of the other side, PEM; empty: the other side may be anybody.
        version: The only one that is spoken.
    """
    context = ssl.SSLContext(role)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
    if trusted:
        context.load_verify_locations(cadata=trusted)
    # OpenSSL's level 0: RSA-1024, SHA-1, TLS 1.0.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are deprecated; that is the point
        context.minimum_version = context.maximum_version = version
    if credential:
        with memory_file(credential.pem) as chain, memory_file(credential.key_pem) as key:
            context.load_cert_chain(chain, key)
    return context


def connect(address: str, port: int) -> socket.socket:
    """
    A connection from a TCP port that no other of this process has had: Envoy's log names a peer by its port.

    The kernel would give the same port again, to one of a few hundred connections.
    """
    for own in _OWN_PORTS:
        try:
            return socket.create_connection((address, port), TIMEOUT_S, source_address=("", own))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("the numbers do not end")


def call(address: str, port: int, context: ssl.SSLContext | None) -> Outcome:
    """
    Send one request on a new connection, and read: a TLS 1.3 client learns only then that it was refused.

    Args:
        address: Where to connect.
        port: TCP port.
        context: From :func:`tls_context`; None speaks plain text.
    """
    plain = connect(address, port)
    own_port = plain.getsockname()[1]
    try:
        with plain, context.wrap_socket(plain, server_hostname="a") if context else plain as connection:
            connection.sendall(REQUEST)
            return Outcome(connection.recv(4096).startswith(b"HTTP/1.1 200"), own_port)
    except (ssl.SSLError, ConnectionError) as error:
        return Outcome(answered=False, port=own_port, told=str(error))


def ask(
    address: str, port: int, context: ssl.SSLContext, path: str = "/", fields: Mapping[str, str] | None = None
) -> tuple[int, str] | None:
    """
    Status and body of the answer to one request on a new connection; None if the connection was refused.

    Args:
        path: Sent as it is.
    """
    connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT_S, context=context)
    with closing(connection), suppress(ssl.SSLError, ConnectionError):
        connection.putrequest("GET", path, skip_accept_encoding=True)
        for name, value in (fields or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read().decode()
    return None


def reset(connection: socket.socket) -> None:
    """End a connection with RST and without FIN, as a process that is killed with unread bytes does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class TlsServer:
    """
    A server that answers every request with ``yellow``; use it as a context.

    Args:
        address: Loopback address to bind.
        port: TCP port; 0 takes a free one.
    """

    def __init__(self, address: str, port: int) -> None:
        self.context: ssl.SSLContext | None = None
        """How the next connections are treated; None speaks plain text."""
        self.resets = False
        """Whether the next connections are reset as soon as something came."""
        self.address = address
        self._listening = socket.create_server((address, port))
        self.port = self._listening.getsockname()[1]
        self._thread = Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:  # the listening socket was shut down
                return
            plain.settimeout(TIMEOUT_S)
            with suppress(OSError), plain:
                self._answer(plain)

    def _answer(self, plain: socket.socket) -> None:
        if self.resets:
            plain.recv(1)
            reset(plain)
            return
        context = self.context
        with context.wrap_socket(plain, server_side=True) if context else plain as connection:
            if connection.recv(4096):
                connection.sendall(ANSWER)
