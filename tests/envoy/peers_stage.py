"""A real Envoy in one of its two roles, and a way to have a peer try it."""

from __future__ import annotations

import http.client
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import (
    GATEWAY_NAME,
    GATEWAY_SECRET,
    GATEWAY_TRUST,
    PORT,
    TELLER_NAME,
    TELLER_SECRET,
    TELLER_TRUST,
    gateway,
    teller,
)
from tests.envoy.peers import TlsServer, call, connect, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.proxy import ProxySettings
    from tests.envoy.conftest import Start
    from tests.envoy.peers_certificates import Credential
    from tests.envoy.peers_pki import PeerPki

OURS = Hierarchy(2)
"""Signs Envoy's own certificate in either role."""
LEFT_ALONE_S = 3600.0
"""Poll interval, seconds: whatever a test hands to Envoy by itself, the watcher would put right."""


class Attempt(NamedTuple):
    """
    How a request ended.

    Args:
        answered: Whether it was answered with 200.
        port: TCP port of whoever made it, by which Envoy's log names it.
    """

    answered: bool
    port: int


class Stage(NamedTuple):
    """
    One Envoy, ready for peers.

    Args:
        envoy: Its container.
        trust: SDS name of the trust bundle that peers are checked against.
        role: The peers' role.
        attempt: Have a peer try, with a context of :func:`~tests.envoy.peers.tls_context`; None speaks plain text.
        event: What Envoy's log calls it when it refuses one.
        server: The peer, where peers are servers.
    """

    envoy: Container
    trust: str
    role: ssl._SSLMethod
    attempt: Callable[[ssl.SSLContext | None], Attempt]
    event: str
    server: TlsServer | None = None

    def lines(self) -> dict[int, dict[str, Any]]:
        """Log lines about refused peers by the port of the attempt; the last one of each."""
        return {int(line["client"].rpartition(":")[2]): line for line in self.envoy.events(self.event)}

    def peer(self, credential: Credential | None, version: ssl.TLSVersion) -> ssl.SSLContext:
        """A peer that trusts us."""
        return tls_context(self.role, credential, OURS.root_pem, version)


@contextmanager
def listener(start: Start, api: SecretsApi, pki: PeerPki) -> Iterator[Stage]:
    """A STRICT listener that asks for a certificate of ``pki``, under the gateway's name; peers are clients."""
    api.publish(TELLER_SECRET, OURS.issue([TELLER_NAME]))
    api.publish_trust_bundle(GATEWAY_TRUST, pki.trust_bundle)
    with listening(start, teller(poll_interval_s=LEFT_ALONE_S)) as stage:
        yield stage


@contextmanager
def listening(start: Start, settings: ProxySettings) -> Iterator[Stage]:
    """A virtual node whose secrets are published; peers are clients."""
    envoy = start(settings)
    start.application(envoy)
    envoy.wait_until_healthy()

    def attempt(context: ssl.SSLContext | None) -> Attempt:
        outcome = call(envoy.address, PORT, context)
        return Attempt(outcome.answered, outcome.port)

    yield Stage(envoy, "trust/colorgateway", ssl.PROTOCOL_TLS_CLIENT, attempt, "connection-refused")


@contextmanager
def backend(api: SecretsApi, pki: PeerPki, new_address: Callable[[], str]) -> Iterator[tuple[CloudMap, TlsServer]]:
    """What a gateway needs whose backend's task is a peer: its own certificate, ``pki``'s roots, and where that is."""
    api.publish(GATEWAY_SECRET, OURS.issue([GATEWAY_NAME]))
    api.publish_trust_bundle(TELLER_TRUST, pki.trust_bundle)
    with CloudMap(new_address()) as cloud_map, TlsServer(new_address(), PORT) as server:
        cloud_map.records[TELLER_NAME] = [server.address]
        yield cloud_map, server


@contextmanager
def caller(
    start: Start,
    api: SecretsApi,
    pki: PeerPki,
    new_address: Callable[[], str],
    settings: ProxySettings | None = None,
) -> Iterator[Stage]:
    """A gateway that asks its backend for a certificate of ``pki``, under the teller's name; peers are servers."""
    settings = settings or gateway(poll_interval_s=LEFT_ALONE_S)
    with backend(api, pki, new_address) as (cloud_map, server):
        envoy = start(settings, MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        envoy.wait_until_healthy()

        def attempt(context: ssl.SSLContext | None) -> Attempt:
            server.context = context
            return _ask(envoy)

        stage = Stage(envoy, "trust/colorteller", ssl.PROTOCOL_TLS_SERVER, attempt, "backend-refused", server)
        good = stage.peer(pki.leaf(), ssl.TLSVersion.TLSv1_3)
        eventually(lambda: attempt(good).answered, "the backend's name resolved")
        yield stage


def _ask(envoy: Container) -> Attempt:
    """Whether the gateway answers 200; else it must be 503."""
    connection = http.client.HTTPConnection(envoy.address, PORT, timeout=10)
    try:
        connection.sock = connect(envoy.address, PORT)
        port = connection.sock.getsockname()[1]
        connection.request("GET", "/")
        status = connection.getresponse().status
        assert status in {200, 503}
        return Attempt(status == 200, port)
    finally:
        connection.close()
