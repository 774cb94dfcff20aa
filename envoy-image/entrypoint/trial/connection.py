"""A handshake with a client certificate: the connection to one endpoint, and the server's answer."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from entrypoint.judging.memory_file import memory_file
from entrypoint.judging.names import names_of
from meshcert.envoy.tls import ALPN
from meshcert.san import Dns, proves_any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.envoy.api import Json
    from meshcert.proxy import Backend

CONNECT_S = 0.5
"""Longest wait for a connection to one address, seconds: both ends are in one VPC."""
SILENCE_S = 0.5
"""
Seconds after which a silent server counts as having accepted a certificate.

In TLS 1.3 the client is done before the server has looked at its certificate. Envoy 1.40 sends its alert 0.2 to 0.5 ms
later (median; 7 ms at most in 1,200 refused handshakes), and nothing at all if it accepts.
"""
MOST_ADDRESSES = 3

_HTTP2_BEGINNING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""The client's preface and empty SETTINGS (RFC 9113, 3.4). The proxy answers them itself: no application sees it."""


class Acceptance(Enum):
    """The ways in which a server takes a client certificate."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """It could not be reached, or broke off without an alert."""


class TrialResult(NamedTuple):
    """
    The result of one handshake.

    Args:
        outcome: Whether the server accepted the certificate.
        reason: The server's TLS alert, or what went wrong; empty if it accepted.
        hosts: The addresses that refused the certificate.
    """

    outcome: Acceptance
    reason: str = ""
    hosts: tuple[str, ...] = ()


class Presented(NamedTuple):
    """
    A client's certificate and key, which ``repr`` does not show.

    Args:
        certificate_chain: Leaf and issuers, PEM.
        private_key: Encrypted PKCS#8, PEM.
        passphrase: The key's passphrase.
    """

    certificate_chain: str
    private_key: str
    passphrase: str

    def __repr__(self) -> str:
        return "<Presented>"


def presented(resource: Json) -> Presented | None:
    """The certificate and key of an SDS resource (:func:`meshcert.envoy.identity_resource`); None without a key."""
    secret = resource.get("tls_certificate", {})
    fields = [
        secret.get(field, {}).get("inline_string", "") for field in ("certificate_chain", "private_key", "password")
    ]
    # Envoy shows what it serves with "[redacted]" in place of the key.
    return Presented(*fields) if fields[1].startswith("-----BEGIN") else None


def connected(addresses: Iterable[str], port: int, deadline: float) -> tuple[socket.socket, str]:
    """
    A connection to the first address that accepts one, and that address.

    Args:
        addresses: They are tried in order, three at most.
        deadline: In monotonic time.

    Raises:
        OSError: If no address accepts one; it is the last address's error.
    """
    failed = OSError("it has no address")
    for address in list(addresses)[:MOST_ADDRESSES]:
        try:
            connection = socket.create_connection((address, port), min(CONNECT_S, _left(deadline)))
        except OSError as error:
            failed = error
        else:
            # Of two small writes in a row, the second would wait 40 ms for the ACK of the first.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection, address
    raise failed


def shake_hands(connection: socket.socket, backend: Backend, context: ssl.SSLContext, deadline: float) -> TrialResult:
    """
    Shake hands and read, then close the connection.

    Only the read gives the answer: in TLS 1.3 the server's refusal comes after the client's handshake. To have
    something to read, an HTTP/2 connection is begun if the server speaks HTTP/2, but no request. Any other server may
    be silent. The application behind a ``tcp`` listener sees a connection that ends without a byte.

    Args:
        connection: To one endpoint.
        backend: The backend that the endpoint belongs to.
        context: From :func:`client_context`.
        deadline: In monotonic time.
    """
    try:
        connection.settimeout(_left(deadline))
        with context.wrap_socket(connection, server_hostname=backend.host, suppress_ragged_eofs=False) as encrypted:
            if not _is_meant(encrypted, backend):
                return TrialResult(Acceptance.UNKNOWN, "its certificate has another name")
            _hear(encrypted, deadline)
    except OSError as error:
        return _judged(error)
    finally:
        connection.close()
    return TrialResult(Acceptance.ACCEPTED)


def client_context(shown: Presented, roots: str, protocol: str) -> ssl.SSLContext:
    """
    A TLS context with Envoy's settings for a backend (:func:`meshcert.envoy.tls.upstream_socket`).

    Names are compared after the handshake: the name that is called may differ from the one that is demanded.

    Args:
        roots: The roots that the server's certificate is checked against, PEM.
        protocol: The protocol of the backend's listener.

    Raises:
        ssl.SSLError: If OpenSSL cannot load one of them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.load_verify_locations(cadata=roots)
    with memory_file(shown.certificate_chain) as chain, memory_file(shown.private_key) as key:
        context.load_cert_chain(chain, key, password=lambda: shown.passphrase)
    if protocol in ALPN:
        context.set_alpn_protocols(ALPN[protocol])
    return context


def _is_meant(encrypted: ssl.SSLSocket, backend: Backend) -> bool:
    """True if Envoy would accept this server."""
    if backend.tls is None:
        return False
    shown: Any = encrypted.getpeercert()
    accepted = backend.tls.subject_alternative_names or (Dns(backend.host),)
    return proves_any(names_of(shown), accepted)


def _hear(encrypted: ssl.SSLSocket, deadline: float) -> None:
    """Return once the server has accepted our certificate; raises its alert if it refuses."""
    if encrypted.version() == "TLSv1.2":
        return  # its handshake ends with the server's word
    if encrypted.selected_alpn_protocol() == "h2":
        encrypted.settimeout(_left(deadline))
        with suppress(OSError):  # a server that has refused us may not listen any more; its alert is read below
            encrypted.sendall(_HTTP2_BEGINNING)
        encrypted.recv(1)
        return
    encrypted.settimeout(min(SILENCE_S, _left(deadline)))
    with suppress(TimeoutError):
        # Silence counts as much as bytes: a server that refuses sends an alert, and does not close in order.
        encrypted.recv(1)


def _judged(error: OSError) -> TrialResult:
    """The result for an error. Only an alert is an answer to our certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TrialResult(Acceptance.UNKNOWN, f"its own certificate is not accepted ({error.verify_message})")
    if isinstance(error, TimeoutError):
        return TrialResult(Acceptance.UNKNOWN, "it does not answer in time")
    reason = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    if alert := reason.partition("_ALERT_")[2].lower():
        return TrialResult(Acceptance.REFUSED, alert)
    return TrialResult(Acceptance.UNKNOWN, f"it breaks off ({reason or type(error).__name__})")


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
