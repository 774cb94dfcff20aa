"""HTTP connections that sign their requests."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from awscrt import auth, http, io

from entrypoint.http_exchange import connect, exchange, result
from entrypoint.task_credentials import ChainCredentials, TaskCredentials, find_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.endpoint import Endpoint


class Session(NamedTuple):
    """
    What all connections of this process share.

    Args:
        bootstrap: awscrt's, with its thread.
        credentials: Of the container; their fetch has begun.
    """

    bootstrap: io.ClientBootstrap
    credentials: TaskCredentials | ChainCredentials

    @classmethod
    def begin(cls, environ: Mapping[str, str]) -> Session:
        """
        A session with the credentials the environment leads to.

        Args:
            environ: Says where credentials come from.

        Raises:
            ValueError: If the environment's credentials endpoint is no URL.
        """
        group = io.EventLoopGroup(1)
        bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
        return cls(bootstrap, find_credentials(environ, bootstrap))


class SignedConnection:
    """
    Sends requests to one endpoint with the credentials of the container.

    The connection is made ahead and kept; a broken one is made again by the next call.

    Args:
        endpoint: Where to connect.
        region: For the signature.
        service: For the signature, for example ``secretsmanager``.
        session: Of this process.
    """

    def __init__(self, endpoint: Endpoint, region: str, service: str, session: Session) -> None:
        self._endpoint = endpoint
        self._region = region
        self._service = service
        self._bootstrap, self._credentials = session
        self._connecting = connect(endpoint, self._bootstrap)

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """
        Send one signed request.

        Args:
            headers: Besides ``Host``, ``Content-Length`` and those of the signature.
            body: Of the request.
            timeout_s: Longest time for each of credentials, connection and answer, seconds.

        Returns:
            Status and body of the answer.

        Raises:
            ConnectionError: If there are no credentials, no connection, or no whole answer in time.
        """
        fields = [("Host", self._endpoint.authority), ("Content-Length", str(len(body))), *headers]
        request = http.HttpRequest("POST", "/", http.HttpHeaders(fields), BytesIO(body))
        provider = self._credentials.provider(timeout_s)
        signing = auth.AwsSigningConfig(credentials_provider=provider, region=self._region, service=self._service)
        result(auth.aws_sign_request(request, signing), "credentials", timeout_s)
        try:
            return exchange(self._open(timeout_s), request, timeout_s)
        except ConnectionError:
            self._drop()
            raise

    def close(self) -> None:
        """Give the connection up, also one that is still being made; this object is not used again."""
        self._connecting.add_done_callback(_close)

    def _open(self, timeout_s: float) -> Any:
        """The kept connection, or a new one where it was closed meanwhile."""
        connection = result(self._connecting, "connection", timeout_s)
        if not connection.is_open():
            self._connecting = connect(self._endpoint, self._bootstrap)
            connection = result(self._connecting, "connection", timeout_s)
        return connection

    def _drop(self) -> None:
        self._connecting.add_done_callback(_close)
        self._connecting = connect(self._endpoint, self._bootstrap)


def _close(made: Any) -> None:
    if made.exception() is None:
        made.result().close()
