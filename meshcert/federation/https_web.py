"""
Bundle endpoints of profile ``https_web`` (SPIFFE standard ``SPIFFE_Federation.md``, section 5.2.1).

Whoever answers proves to be the URL's host by a certificate of a CA that the system trusts (``SSL_CERT_FILE`` names
other ones, as OpenSSL reads it). There is no way to switch that off.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshcert.errors import (
    BundleEndpointNotProven,
    BundleEndpointUnreachable,
    BundleNotGiven,
    BundleRedirected,
    BundleTooLong,
)
from meshcert.federation.bundle_document import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.federation.endpoints import DeclaredEndpoint

WITHIN_S = 15.0
"""Longest time of one answer, from the TCP connection to its last byte, seconds."""
_SILENT_S = 5.0
"""Longest time without a byte, seconds."""
_MOST_ADDRESSES = 3
_HTTPS = 443
_OK, _REDIRECTS, _SERVER_ERRORS, _TOO_MANY_REQUESTS = 200, range(300, 400), range(500, 600), 429


def system_trust() -> ssl.SSLContext:
    """TLS 1.2 or newer, the system's CAs, and a check of the host's name."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass
class HttpsWebEndpoints:
    """
    :class:`meshcert.federation.ports.BundleEndpoints`.

    Args:
        context: Of :func:`system_trust`.
        within_s: See :data:`WITHIN_S`.
    """

    context: ssl.SSLContext = field(default_factory=system_trust)
    within_s: float = WITHIN_S

    def fetch(self, endpoint: DeclaredEndpoint) -> bytes:
        """See :meth:`meshcert.federation.ports.BundleEndpoints.fetch`."""
        trust_domain, url = endpoint
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _HTTPS
        late = threading.Event()
        try:
            with self._connected(host, port, late) as connection:
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
                with connection.getresponse() as response:
                    return _document(endpoint, response)
        except ssl.SSLCertVerificationError as error:
            raise BundleEndpointNotProven(trust_domain, url, error.verify_message or str(error.reason)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = f"no whole answer within {self.within_s:g} s" if late.is_set() else _told(error)
            raise BundleEndpointUnreachable(trust_domain, url, why) from None

    @contextlib.contextmanager
    def _connected(self, host: str, port: int, late: threading.Event) -> Iterator[http.client.HTTPSConnection]:
        """A connection that ends at the latest after ``within_s``: else a byte now and then could keep it for ever."""
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(_reached(host, port))
            secured = stack.enter_context(
                self.context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            )

            def end() -> None:
                late.set()
                with contextlib.suppress(OSError):
                    # SSLSocket's own would forget its TLS state, which the other thread is using.
                    socket.socket.shutdown(secured, socket.SHUT_RDWR)

            timer = threading.Timer(self.within_s, end)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
            secured.do_handshake()
            connection = http.client.HTTPSConnection(host, port, context=self.context)
            connection.sock = secured
            yield connection
            if late.is_set():
                raise TimeoutError


def _reached(host: str, port: int) -> socket.socket:
    """A TCP connection to one of the host's addresses; the first few are tried."""
    failed: OSError = OSError("it has no address")
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:_MOST_ADDRESSES]:
        try:
            return socket.create_connection((str(address[0]), port), timeout=_SILENT_S)
        except OSError as error:
            failed = error
    raise failed


def _document(endpoint: DeclaredEndpoint, response: http.client.HTTPResponse) -> bytes:
    status = response.status
    if status in _REDIRECTS:
        raise BundleRedirected(endpoint.trust_domain, status, response.getheader("Location", ""))
    if status in _SERVER_ERRORS or status == _TOO_MANY_REQUESTS:
        raise BundleEndpointUnreachable(*endpoint, f"HTTP {status}")
    if status != _OK:
        raise BundleNotGiven(*endpoint, status)
    # Into a buffer: of a chunk that says -1 bytes, ``read`` would take whatever comes, beyond any bound.
    buffer = bytearray(MOST_BYTES + 1)
    document = bytes(buffer[: response.readinto(buffer)])
    if len(document) > MOST_BYTES:
        raise BundleTooLong(endpoint.trust_domain, MOST_BYTES)
    if response.length:
        # Cut off before its announced end: what came may be good JSON all the same.
        raise http.client.IncompleteRead(document, response.length)
    return document


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return f"{type(error).__name__}: {error}"[:200].rstrip(": ")
