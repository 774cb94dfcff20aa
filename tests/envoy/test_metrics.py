"""Metrics for Prometheus: the series of each edge, and nothing else of Envoy's admin interface."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.proxies import teller
from meshcert.proxy import ListenerTls, TlsMode
from tests.envoy.http_application import application

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Mesh, Start

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


def test_a_scraper_tells_tls_from_plain_text_and_when_certificates_end(mesh: Mesh) -> None:
    """At a PERMISSIVE listener, after one request over mutual TLS and two in plain text."""
    (listener,) = teller().listeners
    permissive = listener._replace(tls=listener.tls._replace(mode=TlsMode.PERMISSIVE))
    _, node = mesh.start_pair(teller(listeners=(permissive,), metrics_port=METRICS))
    for _ in range(2):
        assert request(node.address, PORT)[0] == 200

    ends = {
        int(dt.datetime.fromisoformat(chain[0]["expiration_time"]).timestamp())
        for context in json.loads(node.admin("/certs")[1])["certificates"]
        if (chain := context["cert_chain"])
    }
    _, page = request(node.address, METRICS, "/metrics")
    told = dict(line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
    asked = "envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="
    assert (told[f'{asked}"ingress_9080_tls"}}'], told[f'{asked}"ingress_9080_plain"}}']) == ("1", "2")
    assert int(told['envoy_listener_ssl_handshake{envoy_listener_address="ingress_9080"}']) >= 1
    until = "envoy_listener_ssl_certificate_expiration_unix_time_seconds{envoy_tls_certificate="
    end = told[f'{until}"identity/colorteller",envoy_listener_address="ingress_9080"}}']
    assert {int(end)} == ends
