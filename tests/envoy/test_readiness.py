"""A task is ready when its application is: until then its ports refuse connections, and they close first."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.proxies import teller
from meshcert.proxy import Listener, ListenerTls, ProxySettings, TlsMode
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PLAIN_PORT = 9081


def _node(**changes: Any) -> ProxySettings:
    """A teller that waits for its application, and that any client may ask on a second port."""
    plain = Listener(PLAIN_PORT, "http", ListenerTls(TlsMode.DISABLED))
    return teller(listeners=(*teller().listeners, plain), awaits_application=True, **changes)


def _refused(node: Container, port: int = PLAIN_PORT) -> bool:
    try:
        socket.create_connection((node.address, port), 2).close()
    except ConnectionRefusedError:
        return True
    return False


@both_deliveries
def test_connections_are_refused_until_the_application_answers(start: Start, published: SecretsApi) -> None:
    """Not accepted and answered with 503: so callers take another task. Envoy has judged its secrets before."""
    del published
    node = start(_node())
    node.wait_until_healthy()
    readiness = start.readiness(node)
    eventually(lambda: readiness.events("application-not-answering"), "the reason told")

    assert [_refused(node, port) for port in (9080, PLAIN_PORT)] == [True, True]
    assert not readiness.healthy()
    assert node.events("secrets-accepted")

    start.application(node)
    readiness.wait_until_healthy()

    assert request(node.address, PLAIN_PORT)[0] == 200
    assert not _refused(node, 9080)
