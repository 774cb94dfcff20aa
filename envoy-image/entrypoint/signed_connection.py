"""One kept HTTP connection that signs its requests."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from awscrt import auth, http, io

from entrypoint.http_exchange import connect, exchange, result
from entrypoint.task_credentials import find_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.endpoint import Endpoint


class SignedConnection:
    """
    Sends requests to one endpoint with the credentials of the container.

    The connection and the credentials are fetched ahead and kept; a broken connection is made again by the next call.

    Args:
        endpoint: Where to connect.
        region: For the signature.
        service: For the signature, for example ``secretsmanager``.
        environ: Says where credentials come from.

    Raises:
        ValueError: If the environment's credentials endpoint is no URL.
    """

    def __init__(self, endpoint: Endpoint, region: str, service: str, environ: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._region = region
        self._service = service
        group = io.EventLoopGroup(1)
        self._bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
        self._credentials = find_credentials(environ, self._bootstrap)
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

    def _open(self, timeout_s: float) -> Any:
        """The kept connection, or a new one where it was closed meanwhile."""
        connection = result(self._connecting, "connection", timeout_s)
        if not connection.is_open():
            self._connecting = connect(self._endpoint, self._bootstrap)
            connection = result(self._connecting, "connection", timeout_s)
        return connection

    def _drop(self) -> None:
        if self._connecting.done() and self._connecting.exception() is None:
            self._connecting.result().close()
        self._connecting = connect(self._endpoint, self._bootstrap)
