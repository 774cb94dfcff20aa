"""
This container's AWS credentials: from the endpoint that its platform names, or from where AWS programs look.

awscrt's default chain would find them too. It is asked only where there is no such endpoint, because loading it takes
a third of what Envoy itself takes to start, and making it reads the machine's CA bundle twice.
"""

from __future__ import annotations

import _thread
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

from entrypoint.aws.endpoint import parse_endpoint
from entrypoint.aws.http_exchange import HttpConnection, HttpRequest
from entrypoint.aws.signature import Credentials
from meshcert.bounded_json import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.aws.endpoint import Endpoint

_WITHOUT_TLS = re.compile(r"127(\.[0-9]{1,3}){3}|::1|169\.254\.170\.2|169\.254\.170\.23|fd00:ec2::23")
"""Where AWS's programs take credentials without TLS: loopback, and the addresses of ECS and EKS inside each host (AWS
SDKs and Tools Reference Guide, "Container credential provider")."""
REFRESH_BEFORE_S = 300.0
"""New credentials are fetched this long before the old ones expire, seconds; ECS renews them even earlier."""
REFUSED_AGAIN_AFTER_S = 20.0
"""Credentials that are refused are fetched anew, but not before those are this old, seconds: new ones may be refused
for some seconds, and a lasting denial is none of theirs."""
_PARTS = ("AccessKeyId", "SecretAccessKey", "Token")
_OK = 200


class CredentialsEndpoint:
    """
    The endpoint from which a platform gives this container its credentials.

    Args:
        path: Absolute, with its query.
        token: Returns the ``Authorization`` header, empty for none; raises ConnectionError if it cannot be read.
    """

    def __init__(self, endpoint: Endpoint, path: str, token: Callable[[], str]) -> None:
        self.endpoint = endpoint
        self.path = path
        self.token = token


def credentials_endpoint(url: str, token: Callable[[], str]) -> CredentialsEndpoint:
    """
    The endpoint that a platform's URL names.

    Args:
        token: See :class:`CredentialsEndpoint`.

    Raises:
        ValueError: If it is not HTTP(S), or HTTP to a host that is not this one. The URL is not in the message.
    """
    endpoint, path = parse_endpoint(url)
    if not endpoint.tls and not _WITHOUT_TLS.fullmatch(endpoint.host):
        raise ValueError("it is http, and its host is neither loopback nor an address of ECS or EKS")
    return CredentialsEndpoint(endpoint, path, token)


class KeptCredentials:
    """
    Credentials that are fetched when they are first asked for, and kept until they run out.

    Several threads may ask: one fetches, the others wait for what it gets.

    Args:
        now: Returns seconds since 1970, UTC.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept = Credentials("", "")
        self._expires = 0.0
        self._renew_at = self._asked = float("-inf")
        self._fetching = _thread.allocate_lock()

    def current(self, timeout_s: float) -> Credentials:
        """
        Credentials that are valid for five more minutes at least, as long as whoever gives them answers.

        Args:
            timeout_s: Longest wait for each connection and each answer, seconds.

        Raises:
            ConnectionError: If there are none, and the kept ones have expired.
        """
        with self._fetching:
            if self._renew_at < self._now():
                self._asked = self._now()
                try:
                    self._kept, self._expires = self._fetch(timeout_s)
                except ConnectionError:
                    if self._expires <= self._now():
                        raise
                self._renew_at = self._expires - REFRESH_BEFORE_S
            return self._kept

    def refused(self) -> None:
        """
        Have others fetched next time, because AWS refuses these: a session was revoked, or its role was made anew.

        They serve on if there are no others. Whatever the refusal was for, others are fetched every 20 seconds at most.
        """
        with self._fetching:
            if self._now() - self._asked >= REFUSED_AGAIN_AFTER_S:
                self._renew_at = float("-inf")

    def _fetch(self, timeout_s: float) -> tuple[Credentials, float]:
        """Credentials, and when they expire, seconds since 1970, UTC; raises ConnectionError."""
        raise NotImplementedError


class EndpointCredentials(KeptCredentials):
    """Credentials from an endpoint; the connection for the first fetch is made at once."""

    def __init__(self, where: CredentialsEndpoint, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self._where = where
        self._connection: HttpConnection | None = HttpConnection(where.endpoint)

    def _fetch(self, timeout_s: float) -> tuple[Credentials, float]:
        connection, self._connection = self._connection or HttpConnection(self._where.endpoint), None
        headers = [("Host", self._where.endpoint.authority), ("Accept", "application/json")]
        try:
            connection.wait("credentials", timeout_s)
            if token := self._where.token():
                headers.append(("Authorization", token))
            status, body, _ = connection.exchange(HttpRequest("GET", self._where.path, headers), timeout_s)
        finally:
            connection.close()
        if status != _OK:
            raise ConnectionError(f"no credentials: the container's endpoint answers {status}")
        return _parsed(body)


class ChainCredentials:
    """Credentials from the other places where AWS programs look: environment, profile, instance metadata."""

    def __init__(self) -> None:
        from awscrt import auth, io  # a task of ECS has an endpoint, and loads none of it

        group = io.EventLoopGroup(1)
        self._chain = auth.AwsCredentialsProvider.new_default_chain(
            io.ClientBootstrap(group, io.DefaultHostResolver(group))
        )

    def current(self, timeout_s: float) -> Credentials:
        """
        What the chain of awscrt finds, which keeps and renews it.

        Raises:
            ConnectionError: If it finds nothing in time.
        """
        from awscrt.exceptions import AwsCrtError

        try:
            found = self._chain.get_credentials().result(timeout_s)
        except TimeoutError as error:
            raise ConnectionError(f"no credentials within {timeout_s:g} s") from error
        except AwsCrtError as error:
            raise ConnectionError(f"no credentials: {error.name}") from error
        return Credentials(found.access_key_id, found.secret_access_key, found.session_token or "")

    def refused(self) -> None:
        """Nothing: awscrt alone knows when it fetches others."""


def find_credentials(
    environ: Mapping[str, str], endpoint: Callable[[], CredentialsEndpoint | None]
) -> EndpointCredentials | ChainCredentials:
    """
    This container's credentials.

    Args:
        environ: Keys in it take precedence over the platform's, as in every AWS program.
        endpoint: Returns the platform's endpoint; may raise ValueError.
    """
    where = None if environ.get("AWS_ACCESS_KEY_ID") else endpoint()
    return EndpointCredentials(where) if where else ChainCredentials()


def _parsed(body: bytes) -> tuple[Credentials, float]:
    try:
        answer = read_json(body)
        expires = expiry(answer["Expiration"])
        credentials = Credentials(*(_text(answer[name]) for name in _PARTS))
    except (ArithmeticError, KeyError, OSError, TypeError, ValueError):
        # The answer is not quoted, because an unreadable one may still contain part of a credential.
        raise ConnectionError("no credentials: the container's endpoint answers something else") from None
    return credentials, expires


def expiry(text: str) -> float:
    """When credentials expire, seconds since 1970, UTC; raises ArithmeticError, OSError, TypeError or ValueError."""
    return datetime.fromisoformat(text).timestamp()


def _text(part: object) -> str:
    """One part of a credential; what is empty or no text is none."""
    if not isinstance(part, str) or not part:
        raise TypeError
    return part
