"""HTTP connections that sign their requests (Signature Version 4)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from entrypoint.aws.credentials import ChainCredentials, KeptCredentials, find_credentials
from entrypoint.aws.endpoint import authorities_file
from entrypoint.aws.http_exchange import HttpConnection, HttpRequest
from entrypoint.aws.signature import SigningScope, signature_headers
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.aws.answer_reading import HttpAnswer
    from entrypoint.aws.credentials import CredentialsEndpoint
    from entrypoint.aws.endpoint import Endpoint


class Session(NamedTuple):
    """
    A session that connections share.

    Args:
        credentials: This container's credentials, connecting to whose endpoint has begun; or those of another role.
        authorities: Path of the CA certificates that AWS's are checked against, PEM; empty for the system's.
    """

    credentials: KeptCredentials | ChainCredentials
    authorities: str = ""

    @classmethod
    def begin(cls, environ: Mapping[str, str], endpoint: Callable[[], CredentialsEndpoint | None]) -> Session:
        """
        A session with the credentials that the environment or the platform provides.

        Args:
            environ: May hold keys, and the authorities that TLS trusts.
            endpoint: Gives the platform's credentials endpoint, None if it has none.

        Raises:
            ValueError: If the credentials endpoint's URL is not HTTP(S), or ``AWS_CA_BUNDLE`` cannot be read.
        """
        authorities = authorities_file(environ)
        return cls(find_credentials(environ, endpoint), authorities)


class SignedConnection:
    """
    Sends signed requests to one endpoint, with a session's credentials.

    The connection is made at once and kept; if it breaks, the next call makes a new one.

    Args:
        region: For the signature.
        service: For the signature, for example ``secretsmanager``.
    """

    def __init__(self, endpoint: Endpoint, region: str, service: str, session: Session) -> None:
        self._endpoint = endpoint
        self._scope = SigningScope(region, service)
        self._credentials, self._authorities = session
        self._connection = HttpConnection(endpoint, self._authorities)

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """
        Send one signed request.

        Args:
            headers: Besides ``Host``, ``Content-Length`` and those of the signature.
            timeout_s: Longest wait for each of credentials, connection and answer, seconds.

        Returns:
            Status and body of the answer.

        Raises:
            ConnectionError: If there are no credentials, no connection, or no whole answer in time.
        """
        fields = [("Content-Length", str(len(body))), *headers]
        return self._send(HttpRequest("POST", "/", fields, body), timeout_s)[:2]

    def get(self, path: str, headers: list[tuple[str, str]], timeout_s: float) -> HttpAnswer:
        """
        Ask Amazon S3 for an object.

        Args:
            path: Absolute, and only letters, digits, ``-``, ``.`` and ``/``: nothing in it is escaped.
            headers: Besides ``Host`` and those of the signature.
            timeout_s: As in :meth:`post`.

        Raises:
            ConnectionError: As in :meth:`post`.
        """
        return self._send(HttpRequest("GET", path, headers), timeout_s)

    def credentials_refused(self) -> None:
        """Have the session fetch new credentials for the next request, unless these are new."""
        self._credentials.refused()

    def close(self) -> None:
        """Close the connection, even one that is still being made; this object must not be used again."""
        self._connection.close()

    def _send(self, request: HttpRequest, timeout_s: float) -> HttpAnswer:
        credentials = self._credentials.current(timeout_s)
        headers = [("Host", self._endpoint.authority), *request.headers]
        headers += signature_headers(request._replace(headers=headers), credentials, self._scope, time.time())
        connection = self._open(timeout_s)
        try:
            return connection.exchange(request._replace(headers=headers), timeout_s)
        except ConnectionError:
            self._connection = HttpConnection(self._endpoint, self._authorities)
            raise

    def _open(self, timeout_s: float) -> HttpConnection:
        """The kept connection, or a new one if it was closed meanwhile."""
        connection = self._connection
        if not connection.is_open():
            connection.close()
            self._connection = connection = HttpConnection(self._endpoint, self._authorities)
        connection.wait("connection", timeout_s)
        return connection
