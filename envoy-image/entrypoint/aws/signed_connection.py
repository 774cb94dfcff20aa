"""HTTP connections that sign their requests (Signature Version 4)."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from awscrt import auth, http, io

from entrypoint.aws.credentials import ChainCredentials, EndpointCredentials, find_credentials
from entrypoint.aws.endpoint import authorities_file
from entrypoint.aws.http_exchange import HttpAnswer, connect, exchange, result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.aws.credentials import CredentialsEndpoint
    from entrypoint.aws.endpoint import Endpoint


class Session(NamedTuple):
    """
    The session that all connections of this process share.

    Args:
        bootstrap: The awscrt bootstrap with its thread.
        credentials: This container's credentials; fetching them has begun.
        authorities: Path of the CA certificates that AWS's are checked against, PEM; empty for the system's.
    """

    bootstrap: io.ClientBootstrap
    credentials: EndpointCredentials | ChainCredentials
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
        group = io.EventLoopGroup(1)
        bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
        return cls(bootstrap, find_credentials(environ, endpoint, bootstrap), authorities)


class SignedConnection:
    """
    Sends signed requests to one endpoint, with the container's credentials.

    The connection is made at once and kept; if it breaks, the next call makes a new one.

    Args:
        region: For the signature.
        service: For the signature, for example ``secretsmanager``.
    """

    def __init__(self, endpoint: Endpoint, region: str, service: str, session: Session) -> None:
        self._endpoint = endpoint
        self._region = region
        self._service = service
        self._bootstrap, self._credentials, self._authorities = session
        self._connecting = connect(endpoint, self._bootstrap, self._authorities)

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
        request = http.HttpRequest("POST", "/", http.HttpHeaders(fields), BytesIO(body))
        return self._send(request, {}, timeout_s)[:2]

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
        request = http.HttpRequest("GET", path, http.HttpHeaders(headers))
        # S3 alone wants the body's hash as a header, and the path signed as it is sent (S3 API, "Signature V4").
        of_s3 = {
            "signed_body_header_type": auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
            "use_double_uri_encode": False,
            "should_normalize_uri_path": False,
        }
        return self._send(request, of_s3, timeout_s)

    def close(self) -> None:
        """Close the connection, even one that is still being made; this object must not be used again."""
        self._connecting.add_done_callback(_close)

    def _send(self, request: http.HttpRequest, signing_options: dict[str, Any], timeout_s: float) -> HttpAnswer:
        request.headers.add("Host", self._endpoint.authority)
        signing = auth.AwsSigningConfig(
            credentials_provider=self._credentials.provider(timeout_s),
            region=self._region,
            service=self._service,
            **signing_options,
        )
        result(auth.aws_sign_request(request, signing), "credentials", timeout_s)
        try:
            return exchange(self._open(timeout_s), request, timeout_s)
        except ConnectionError:
            self._drop()
            raise

    def _open(self, timeout_s: float) -> Any:
        """The kept connection, or a new one if it was closed meanwhile."""
        connection = result(self._connecting, "connection", timeout_s)
        if not connection.is_open():
            self._connecting = connect(self._endpoint, self._bootstrap, self._authorities)
            connection = result(self._connecting, "connection", timeout_s)
        return connection

    def _drop(self) -> None:
        self._connecting.add_done_callback(_close)
        self._connecting = connect(self._endpoint, self._bootstrap, self._authorities)


def _close(made: Any) -> None:
    if made.exception() is None:
        made.result().close()
