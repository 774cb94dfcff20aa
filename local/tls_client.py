"""A client's own certificate, and attempts to connect with it straight to a listener."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

from meshcert.material import join_certificates

if TYPE_CHECKING:
    from meshcert.material import Material

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For httpx where nothing is asked over TLS: else it loads every root of its own for each request, 40 ms of a core."""
TIMEOUT_S = 20.0
"""Generous: on a busy machine a listener that has not answered yet has refused nobody."""


def load_certificate(context: ssl.SSLContext, material: Material) -> None:
    """Have a client present this material. Its key stays in memory: OpenSSL reads it from a file that has no name."""
    chain = join_certificates([material.certificate, material.certificate_chain])
    with os.fdopen(os.memfd_create("material"), "w") as file:
        file.write(f"{material.private_key.reveal()}\n{chain}")
        file.flush()
        path = f"/proc/self/fd/{file.fileno()}"
        context.load_cert_chain(path, password=material.passphrase.reveal())


class Attempt(NamedTuple):
    """
    What became of a connection straight to a listener.

    Args:
        client: The client's address and port, as the listener's access log has it.
        admitted: Whether the TLS handshake was completed, so that requests could be sent.
        answer: What then came back; empty if nothing was sent.
    """

    client: str
    admitted: bool
    answer: bytes = b""


def attempt(address: str, port: int, server_name: str, material: Material | None, request: bytes = b"") -> Attempt:
    """
    Connect to a listener over TLS.

    TLS 1.2, in which the client's handshake is complete only after the server has checked its certificate. The server's
    is not checked: this client is an intruder who does not care.

    Args:
        server_name: Sent as SNI.
        material: What the client presents; None presents nothing.
        request: Sent once the client is in.

    Raises:
        OSError: If there is no connection at all.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if material is not None:
        load_certificate(context, material)
    with socket.create_connection((address, port), timeout=TIMEOUT_S) as plain:
        client = "{}:{}".format(*plain.getsockname())
        try:
            with context.wrap_socket(plain, server_hostname=server_name) as connection:
                if not request:
                    return Attempt(client, admitted=True)
                connection.sendall(request)
                return Attempt(client, admitted=True, answer=connection.recv(64))
        except TimeoutError:
            raise
        except OSError:
            return Attempt(client, admitted=False)
