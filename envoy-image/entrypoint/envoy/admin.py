"""Envoy's administration interface, as far as this container uses it."""

from __future__ import annotations

import http.client

from meshcert.contract.container import ADMIN_PORT

TIMEOUT_S = 2.0


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
        connection = http.client.HTTPConnection(self._address, ADMIN_PORT, timeout=TIMEOUT_S)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ConnectionError(f"{method} {path}: {response.status}")
        return body
