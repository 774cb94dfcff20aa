"""An HTTPS client that presents material of ours, on new connections or on one that it keeps."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, Self

from entrypoint.judging.memory_file import memory_file

if TYPE_CHECKING:
    from meshcert.material import Material

TIMEOUT_S = 5.0


class MutualClient:
    """
    Calls one listener. It checks nothing of the other side: who is refused, Envoy refuses.

    Args:
        address: Where to connect.
        port: TCP port.
        material: What to present.
    """

    def __init__(self, address: str, port: int, material: Material) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with memory_file(material.presented_chain) as chain, memory_file(material.private_key.reveal()) as key:
            context.load_cert_chain(chain, key, material.passphrase.reveal())
        self._connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT_S, context=context)
        # Connecting again would hide that the connection was ended.
        self._connection.auto_open = 0

    def __enter__(self) -> Self:
        self._connection.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def answered(self, path: str = "/") -> bool:
        """Whether one more request on this connection gets its answer; False if the connection is gone."""
        try:
            return self.answer(path)[0] == http.client.OK
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            return False

    def answer(self, path: str = "/") -> tuple[int, str]:
        """Status and body of one more request on this connection."""
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        return response.status, response.read().decode()


def is_admitted(address: str, port: int, material: Material) -> bool:
    """Whether a new connection with this material gets an answer; a TLS 1.3 client learns it when it reads."""
    try:
        with MutualClient(address, port, material) as client:
            return client.answered()
    except (ConnectionError, ssl.SSLError):
        return False
