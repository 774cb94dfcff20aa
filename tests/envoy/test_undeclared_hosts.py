"""With ``ALLOW_ALL`` the egress listener passes on what is no backend: in plain text, counted, not into the task."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually
from evidence.fixtures.proxies import (
    GATEWAY_NAME,
    TELLER_NAME,
    gateway,
    teller,
)
from meshcert.contract.container import ADMIN_PORT
from meshcert.proxy import Route, WayOut
from tests.envoy.http_application import application
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

EGRESS, METRICS, ELSEWHERE = 15001, 9464, 8080
OUTSIDE, SELF, METADATA = "partner.example.com", "self.example.com", "metadata.example.com"
STORE = "store.mtls.svc.cluster.local"
COUNTED = 'envoy_cluster_upstream_rq_total{envoy_cluster_name="meshcert/undeclared"}'


class Stage(NamedTuple):
    """The caller's container, and the names that DNS knows."""

    front: Container
    names: CloudMap


@pytest.fixture(scope="module")
def stage(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[Stage]:
    """A node with an http and a tcp backend, a host outside the mesh, and names that lead back into the task."""
    start, api = begin
    publish_both(api)
    (backend,) = gateway().backends
    settings = gateway(
        name="front",
        listeners=(),
        routes=(),
        application_port=8080,
        backends=(backend, backend._replace(name="store", host=STORE, protocol="tcp")),
        ways_out=(
            WayOut("colorteller", (TELLER_NAME, "colorteller"), "http", (Route("/", "colorteller"),)),
            WayOut("store", (), "tcp", (Route("/", "store"),), 6379),
        ),
        egress_port=EGRESS,
        egress_allow_all=True,
        metrics_port=METRICS,
    )
    outside = new_address()
    with CloudMap(new_address()) as names, ExitStack() as open_ones:
        callee = start(teller())
        front = start(settings, MESHCERT_DNS_RESOLVER=names.resolver)
        names.records |= {
            TELLER_NAME: [callee.address],
            STORE: [outside],
            OUTSIDE: [outside],
            SELF: [front.address],
            METADATA: ["169.254.170.2"],
        }
        open_ones.enter_context(application(callee.address))
        open_ones.enter_context(application(outside))
        for each in (callee, front):
            each.wait_until_healthy()
        eventually(lambda: _ask(front, TELLER_NAME)[0] == 200, "a first answer")
        yield Stage(front, names)


def _ask(container: Container, host: str, path: str = "/head", port: int = EGRESS) -> tuple[int, str]:
    """Status and body of a request that names a host."""
    connection = http.client.HTTPConnection(container.address, port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _counted(container: Container) -> int:
    """How many requests have been passed on, as the metrics say."""
    lines = _ask(container, "metrics", "/metrics", METRICS)[1].splitlines()
    return int(next((line.split()[-1] for line in lines if line.startswith(COUNTED)), 0))


@pytest.mark.parametrize(
    ("host", "path"),
    [(f"{OUTSIDE}:{ELSEWHERE}", "/head"), ("ignored.example", f"http://{OUTSIDE}:{ELSEWHERE}/head")],
)
def test_what_is_no_backend_is_passed_on_as_it_is_and_counted(stage: Stage, host: str, path: str) -> None:
    """By host, and by an absolute URI, as behind HTTP_PROXY."""
    before = _counted(stage.front)

    status, head = _ask(stage.front, host, path)

    assert status == 200
    assert f"host: {OUTSIDE}:{ELSEWHERE}" in head.lower()
    assert "x-forwarded-client-cert" not in head.lower()
    assert _counted(stage.front) == before + 1


def test_a_backend_is_called_as_it_is_declared(stage: Stage) -> None:
    """Whatever port is named; nothing of it is counted as passed on."""
    before = _counted(stage.front)

    answers = [_ask(stage.front, host) for host in (TELLER_NAME, f"{TELLER_NAME}:{ELSEWHERE}", "colorteller:80")]

    assert [status for status, _ in answers] == [200, 200, 200]
    assert all(f"DNS={GATEWAY_NAME}" in head for _, head in answers)
    assert _counted(stage.front) == before


@pytest.mark.parametrize("host", [f"{STORE}:{ELSEWHERE}", STORE.upper(), "store"])
def test_a_backend_with_another_way_is_not_passed_on(stage: Stage, host: str) -> None:
    """A tcp backend's host would answer in plain text."""
    status, said = _ask(stage.front, host)

    assert status == 403
    assert "local_port" in said


@pytest.mark.parametrize(
    "host",
    [
        "169.254.170.2",
        "169.254.169.254:80",
        METADATA,
        f"{SELF}:{ADMIN_PORT}",
        f"{SELF}:{EGRESS}",
        f"0.0.0.0:{ADMIN_PORT}",
    ],
)
def test_no_request_is_passed_on_into_the_task_or_to_its_metadata(stage: Stage, host: str) -> None:
    """By address or by a name of it: Envoy's own ports among them."""
    status, said = _ask(stage.front, host, "/ready")

    assert status == 403
    assert "not passed on" in said


def test_the_admin_interface_is_not_passed_on_to_by_the_task_s_own_address(stage: Stage) -> None:
    """Nor the egress listener, which would go in circles."""
    ports = (ADMIN_PORT, EGRESS)

    answers = [_ask(stage.front, f"{stage.front.address}:{port}", "/ready") for port in ports]

    assert [status for status, _ in answers] == [403, 403]


def test_what_is_to_go_over_tls_is_not_passed_on_in_plain_text(stage: Stage) -> None:
    """Nobody who writes ``https`` means it."""
    status, said = _ask(stage.front, OUTSIDE, f"https://{OUTSIDE}/head")

    assert status == 403
    assert "plain text" in said


def test_connect_is_refused_to_hosts_that_are_no_backends_too(stage: Stage) -> None:
    """What goes through a tunnel, nobody counts."""
    with socket.create_connection((stage.front.address, EGRESS), 10) as connection:
        connection.sendall(f"CONNECT {OUTSIDE}:443 HTTP/1.1\r\nHost: {OUTSIDE}:443\r\n\r\n".encode())
        answer = connection.recv(4000).decode()

    assert answer.startswith("HTTP/1.1 403")


def test_a_host_that_nobody_knows_is_503(stage: Stage) -> None:
    """Envoy says that DNS does not know it."""
    status, said = _ask(stage.front, "nobody.example.com")

    assert status == 503
    assert "DNS" in said
