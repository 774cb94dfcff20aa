"""HTTP over awscrt (AWS's own C runtime) with a limit on every wait, because awscrt has no read timeout."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, NamedTuple

from awscrt import http, io
from awscrt.exceptions import AwsCrtError

if TYPE_CHECKING:
    from entrypoint.aws.endpoint import Endpoint

CONNECT_TIMEOUT_S = 3.0
LARGEST_ANSWER = 1 << 20
"""Most bytes of an answer, so that none can fill the memory; a secret has at most 64 KiB."""


def connect(endpoint: Endpoint, bootstrap: io.ClientBootstrap, authorities: str = "") -> Any:
    """
    Begin a connection, and return awscrt's future.

    Args:
        authorities: Path of the CA certificates that the endpoint's is checked against; empty for the system's.
    """
    options = io.SocketOptions()
    options.connect_timeout_ms = int(CONNECT_TIMEOUT_S * 1000)
    tls = None
    if endpoint.tls:
        trust = io.TlsContextOptions()
        if authorities:
            trust.override_default_trust_store_from_path(None, authorities)
        tls = io.ClientTlsContext(trust).new_connection_options()
        tls.set_server_name(endpoint.host)
    return http.HttpClientConnection.new(endpoint.host, endpoint.port, bootstrap, options, tls)


class HttpAnswer(NamedTuple):
    """
    The answer to one request.

    Args:
        entity_tag: The ETag; empty if there is none.
    """

    status: int
    body: bytes
    entity_tag: str


def exchange(connection: Any, request: http.HttpRequest, timeout_s: float) -> HttpAnswer:
    """
    The answer to one request.

    Args:
        connection: Open. After an error it must not be used again: a late answer would be taken for the next one's.
        timeout_s: Longest wait for the whole answer, seconds.

    Raises:
        ConnectionError: If the whole answer does not come in time, or is larger than :data:`LARGEST_ANSWER`.
    """
    answer = _Answer()
    try:
        stream = connection.request(request, answer.on_response, answer.on_body)
        stream.activate()
    except AwsCrtError as error:
        raise ConnectionError(error.name) from error
    result(stream.completion_future, "answer", timeout_s)
    if answer.too_large:
        raise ConnectionError(f"the answer is larger than {LARGEST_ANSWER} bytes")
    return HttpAnswer(answer.status, bytes(answer.body), answer.entity_tag)


def result(future: Any, what: str, timeout_s: float) -> Any:
    """
    The result of an awscrt future.

    Args:
        what: What is being waited for, for error messages.
        timeout_s: Longest wait, seconds.

    Raises:
        ConnectionError: If it fails or takes too long.
    """
    try:
        return future.result(timeout_s)
    except concurrent.futures.TimeoutError as error:
        raise ConnectionError(f"no {what} within {timeout_s:g} s") from error
    except AwsCrtError as error:
        raise ConnectionError(f"no {what}: {error.name}") from error


class _Answer:
    """Collects one answer; its methods run on awscrt's thread."""

    def __init__(self) -> None:
        self.status = 0
        self.entity_tag = ""
        self.body = bytearray()
        self.too_large = False

    def on_response(self, http_stream: Any, status_code: int, headers: Any, **kwargs: Any) -> None:
        del http_stream, kwargs
        self.status = status_code
        self.entity_tag = next((value for name, value in headers if name.lower() == "etag"), "")

    def on_body(self, http_stream: Any, chunk: bytes, **kwargs: Any) -> None:
        del http_stream, kwargs
        # Not raised here: awscrt would print a traceback.
        self.too_large = self.too_large or len(self.body) + len(chunk) > LARGEST_ANSWER
        if not self.too_large:
            self.body += chunk
