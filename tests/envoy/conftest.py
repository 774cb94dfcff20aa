"""A real Envoy, the laid-out image, and addresses nobody else uses."""

from __future__ import annotations

from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evidence.fixtures.addresses import loopback_addresses
from evidence.fixtures.canary_search import leaks_of
from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, installed_envoy, lay_out_image, request
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, gateway
from evidence.fixtures.readiness import Readiness
from evidence.fixtures.secrets_api import SecretsApi
from evidence.fixtures.serving import serving
from meshcert.proxy import DeliveryMode
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material
    from meshcert.proxy import ProxySettings

APPLICATION_PORT = 8080
both_deliveries = pytest.mark.parametrize("delivery", list(DeliveryMode))
"""Runs a test with files and over the socket: what it claims holds for both."""


@pytest.fixture(scope="session")
def envoy_binary() -> Path:
    """Envoy itself."""
    return installed_envoy()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, envoy_binary: Path) -> Path:
    """The image's folders."""
    return lay_out_image(tmp_path_factory.mktemp("image"), envoy_binary)


@pytest.fixture(scope="session")
def new_address() -> Callable[[], str]:
    """A loopback address at each call, from networks drawn at random, one after the other."""
    addresses = loopback_addresses()
    return lambda: next(addresses)


@pytest.fixture
def api(new_address: Callable[[], str]) -> Iterator[SecretsApi]:
    """Secrets Manager's wire, without secrets."""
    with SecretsApi(new_address()) as running:
        yield running


class Start:
    """
    Starts containers that end with the test.

    Args:
        image: From :func:`evidence.fixtures.container.lay_out_image`.
        folder: For their folders.
        new_address: Gives each its address.
        api: Their AWS.
        delivery: How their Envoys get secrets.
    """

    def __init__(
        self, image: Path, folder: Path, new_address: Callable[[], str], api: SecretsApi, delivery: DeliveryMode
    ) -> None:
        self.delivery = delivery
        self._image = image
        self._folder = folder
        self._new_address = new_address
        self._api = api
        self._open = ExitStack()
        self._started: list[Container] = []
        self.output: int | None = None
        """Descriptor that is the standard output of further containers."""

    def __call__(self, settings: ProxySettings | None, **environment: str) -> Container:
        """A container that has just been started."""
        address = self._new_address()
        if settings:
            settings = settings._replace(delivery=self.delivery)
        environment = {**self._api.environment, **environment}
        container = Container(self._image, self._folder / address, address, settings, environment, output=self.output)
        self._started.append(container)
        return self._open.enter_context(container)

    def readiness(self, container: Container, path: str = "") -> Readiness:
        """The readiness container of a task, beside its Envoy's."""
        return self._open.enter_context(Readiness(container, APPLICATION_PORT, path))

    def application(self, container: Container) -> Callable[[], None]:
        """
        Run an application beside a container, which answers with what it was told about its caller.

        Returns:
            What ends it before the test does.
        """
        ending = ExitStack()
        ending.enter_context(serving(ThreadingHTTPServer((container.address, APPLICATION_PORT), _Application)))
        self._open.callback(ending.close)
        return ending.close

    def end(self) -> None:
        """End them all; whatever befell them, none has shown a secret."""
        with self._open:
            leaks = [leak for container in self._started for leak in leaks_of(container, self._api)]
        assert leaks == []


@pytest.fixture
def delivery() -> DeliveryMode:
    """How Envoy gets its secrets; a test of :data:`both_deliveries` runs with each."""
    return DeliveryMode.FILE


@pytest.fixture
def start(
    image: Path, tmp_path: Path, new_address: Callable[[], str], api: SecretsApi, delivery: DeliveryMode
) -> Iterator[Start]:
    """Containers that end with the test."""
    starter = Start(image, tmp_path, new_address, api, delivery)
    yield starter
    starter.end()


@pytest.fixture(scope="module")
def begin(
    image: Path, tmp_path_factory: pytest.TempPathFactory, new_address: Callable[[], str]
) -> Iterator[tuple[Start, SecretsApi]]:
    """Containers and their AWS for the whole file."""
    with SecretsApi(new_address()) as api:
        start = Start(image, tmp_path_factory.mktemp("containers"), new_address, api, DeliveryMode.FILE)
        yield start, api
        start.end()


@pytest.fixture
def published(api: SecretsApi, hierarchy: Hierarchy, material: Material) -> SecretsApi:
    """AWS after the export function has run."""
    api.publish(TELLER_SECRET, material)
    api.publish_trust_bundle(GATEWAY_TRUST, hierarchy.trust_bundle)
    return api


class Mesh(NamedTuple):
    """
    Two hierarchies, and how to start proxies of them.

    Args:
        gateways: Signs gateways.
        tellers: Signs tellers.
        start_pair: Starts a gateway and a teller whose names resolve; the teller with the given settings.
    """

    gateways: Hierarchy
    tellers: Hierarchy
    start_pair: Callable[[ProxySettings], tuple[Container, Container]]


@pytest.fixture
def mesh(start: Start, api: SecretsApi, new_address: Callable[[], str]) -> Iterator[Mesh]:
    """Both secrets and both trust bundles published; each proxy trusts the other's hierarchy alone."""
    gateways, tellers = publish_both(api)
    with CloudMap(new_address()) as cloud_map:

        def start_pair(settings: ProxySettings) -> tuple[Container, Container]:
            node = start(settings)
            start.application(node)
            cloud_map.records[TELLER_NAME] = [node.address]
            edge = start(gateway(), MESHCERT_DNS_RESOLVER=cloud_map.resolver)
            for container in (node, edge):
                container.wait_until_healthy()
            eventually(lambda: request(edge.address, 9080)[0] == 200, "a first answer")
            return edge, node

        yield Mesh(gateways, tellers, start_pair)


class _Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Say ``yellow``, and who called."""
        body = f"yellow {self.headers.get('x-forwarded-client-cert', '')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
