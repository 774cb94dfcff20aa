"""Metrics for Prometheus: the series of each edge, and nothing else of Envoy's admin interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.proxies import teller
from meshcert.proxy import ListenerTls, TlsMode
from tests.envoy.http_application import application

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PORT, METRICS = 9080, 9464


@pytest.fixture(scope="module")
def container(begin: tuple[Start, SecretsApi]) -> Iterator[Container]:
    """A node in plain text that has answered a request."""
    (listener,) = teller().listeners
    plain = listener._replace(tls=ListenerTls(TlsMode.DISABLED))
    node = begin[0](teller(listeners=(plain,), identities={}, trust_bundles={}, metrics_port=METRICS))
    with application(node.address):
        node.wait_until_healthy()
        eventually(lambda: request(node.address, PORT, "/color")[0] == 200, "an answer")
        yield node


def test_a_scraper_gets_the_series_of_each_edge(container: Container) -> None:
    """Requests with their answers and times, by listener and by cluster."""
    wanted = (
        'envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="application"}',
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="application"',
        'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="ingress_9080_plain"}',
        "envoy_server_uptime",
    )

    def told() -> str:
        """The page, once Envoy has gathered its times: it does so every five seconds."""
        status, text = request(container.address, METRICS, "/metrics")
        return text if status == 200 and all(series in text for series in wanted) else ""

    page = eventually(told, f"{wanted}")
    assert "envoy_cluster_manager" not in page
    assert "runtime" not in page


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/stats"),
        ("GET", "/config_dump"),
        ("GET", "/metrics?filter=.*"),
        ("GET", "/metrics/"),
        ("GET", "//metrics"),
        ("GET", "/metrics/../certs"),
        ("POST", "/metrics"),
        ("POST", "/healthcheck/fail"),
    ],
)
def test_nothing_else_is_answered(container: Container, method: str, path: str) -> None:
    """Neither other pages of the admin interface, nor parameters for this one."""
    assert request(container.address, METRICS, path, method)[0] == 404
