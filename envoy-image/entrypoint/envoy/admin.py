"""Envoy's administration interface, as far as this container uses it."""

from __future__ import annotations

from entrypoint.envoy.plain_http import answer_of
from meshcert.contract.container import ADMIN_PORT

TIMEOUT_S = 2.0
_OK = 200


class Admin:
    """
    The administration interface of one Envoy.

    Args:
        address: The address without the port.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str) -> str:
        """
        The text under a path.

        Raises:
            OSError: If Envoy does not answer within 2 seconds, or not with 200.
        """
        return self._request("GET", path)

    def post(self, path: str) -> None:
        """
        Call a path that changes something.

        Raises:
            OSError: If Envoy does not answer within 2 seconds, or not with 200.
        """
        self._request("POST", path)

    def _request(self, method: str, path: str) -> str:
        status, body = answer_of(method, self._address, ADMIN_PORT, path, TIMEOUT_S)
        if status != _OK:
            raise ConnectionError(f"{method} {path}: {status}")
        return body.decode(errors="replace")
