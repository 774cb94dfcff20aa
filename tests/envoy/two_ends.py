"""Both ends of a call, each with a hierarchy of its own: what is published for them, and a gateway before two nodes."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, request
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.proxy import Route
    from tests.envoy.conftest import Start

SECOND = "second"
"""The second node, as routes name it; the first is ``colorteller``."""
_SECOND_NAME = "second.mtls.svc.cluster.local"


def publish_both(
    api: SecretsApi, *, gateways: str = GATEWAY_NAME, tellers: Sequence[str] = (TELLER_NAME,)
) -> tuple[Hierarchy, Hierarchy]:
    """
    Publish an identity and a trust bundle for each end.

    Args:
        api: Where.
        gateways: The name that gateways prove.
        tellers: The names that tellers prove.

    Returns:
        The gateways' hierarchy and the tellers'; each end trusts the other's alone.
    """
    both = Hierarchy(1, name="colorgateway"), Hierarchy(2, name="colorteller")
    api.publish(GATEWAY_SECRET, both[0].issue([gateways]))
    api.publish(TELLER_SECRET, both[1].issue(tellers))
    for hierarchy, trust in zip(both, (GATEWAY_TRUST, TELLER_TRUST), strict=True):
        api.publish_trust_bundle(trust, hierarchy.trust_bundle)
    return both


class TwoNodes(NamedTuple):
    """
    A gateway before two nodes.

    Args:
        gateway: Its container, which answers at :data:`PORT`.
        first: The node that speaks http.
        second: The other one.
    """

    gateway: Container
    first: Container
    second: Container

    def wait_until_answered(self, *paths: str) -> None:
        """Until all of them are healthy and the gateway answers at each path; the applications have to run."""
        for container in self:
            container.wait_until_healthy()
        for path in paths:
            eventually(partial(self._answers, path), f"an answer at {path}")

    def _answers(self, path: str) -> bool:
        return request(self.gateway.address, PORT, path)[0] == HTTPStatus.OK


@contextmanager
def two_nodes(
    start: Start,
    api: SecretsApi,
    new_address: Callable[[], str],
    protocol: str,
    routes: Sequence[Route],
    **settings: Any,
) -> Iterator[TwoNodes]:
    """
    Start them; their applications are the test's.

    Args:
        start: Starts containers.
        api: Their AWS.
        new_address: Gives loopback addresses.
        protocol: What the second node speaks.
        routes: The gateway's.
        settings: Further settings of the gateway and of the first node.
    """
    publish_both(api, tellers=(TELLER_NAME, _SECOND_NAME))
    (listener,), (backend,) = teller().listeners, gateway().backends
    with CloudMap(new_address()) as cloud_map:
        first = start(teller(**settings))
        second = start(teller(listeners=(listener._replace(protocol=protocol),)))
        cloud_map.records |= {TELLER_NAME: [first.address], _SECOND_NAME: [second.address]}
        backends = (backend, backend._replace(name=SECOND, host=_SECOND_NAME, protocol=protocol))
        edge = gateway(backends=backends, routes=tuple(routes), **settings)
        yield TwoNodes(start(edge, MESHCERT_DNS_RESOLVER=cloud_map.resolver), first, second)
