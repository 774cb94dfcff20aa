"""HTTP as applications speak it, through a gateway and a node: versions, upgrades, long answers, timeouts."""

from __future__ import annotations

import http.client
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import (
    GATEWAY_NAME,
    GATEWAY_SECRET,
    GATEWAY_TRUST,
    TELLER_NAME,
    TELLER_SECRET,
    TELLER_TRUST,
    gateway,
    teller,
)
from meshcert.proxy import Route
from meshcert.timeouts import Timeouts
from tests.docs.pages import rows
from tests.envoy.http_application import application
from tests.envoy.http_spoken_cases import CASES, Case, offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PORT = 9080
SUBSCRIPTIONS = "subscriptions.mtls.svc.cluster.local"
CAP_S = 2.0
"""Longest life of a connection, seconds: what takes longer must not be cut by it."""
ROUTES = (
    Route("/", "colorteller"),
    Route("/grpc/", "subscriptions"),
    Route("/request/", "colorteller", Timeouts(per_request_s=1.0)),
    Route("/idle/", "colorteller", Timeouts(idle_s=2.0)),
    Route("/stream/", "colorteller", Timeouts(stream_s=1.5)),
)


@pytest.fixture(scope="module")
def edge(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[str]:
    """Address of a gateway before a node that speaks http and one that speaks grpc and says nothing."""
    start, api = begin
    gateways, tellers = Hierarchy(1, name="colorgateway"), Hierarchy(2, name="colorteller")
    api.publish(GATEWAY_SECRET, gateways.issue([GATEWAY_NAME]))
    api.publish(TELLER_SECRET, tellers.issue([TELLER_NAME, SUBSCRIPTIONS]))
    api.publish_trust_bundle(GATEWAY_TRUST, gateways.trust_bundle)
    api.publish_trust_bundle(TELLER_TRUST, tellers.trust_bundle)
    base, (listener,), (backend,) = teller(), teller().listeners, gateway().backends
    with CloudMap(new_address()) as cloud_map, ExitStack() as open_ones:
        node = start(base._replace(max_connection_duration_s=CAP_S))
        quiet = start(base._replace(listeners=(listener._replace(protocol="grpc"),)))
        cloud_map.records |= {TELLER_NAME: [node.address], SUBSCRIPTIONS: [quiet.address]}
        subscriptions = backend._replace(name="subscriptions", host=SUBSCRIPTIONS, protocol="grpc")
        asked = gateway(max_connection_duration_s=CAP_S, backends=(backend, subscriptions), routes=ROUTES)
        container = start(asked, MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        open_ones.enter_context(application(node.address))
        open_ones.enter_context(socket.create_server((quiet.address, base.application_port)))
        for each in (node, quiet, container):
            each.wait_until_healthy()
        eventually(lambda: request(container.address, PORT)[0] == 200, "a first answer")
        yield container.address


def _listen(address: str, events: int) -> tuple[bytes, bool]:
    """What came as server-sent events, and whether the first ones came long before the last ones."""
    connection = http.client.HTTPConnection(address, PORT, timeout=60)
    connection.request("GET", f"/events-{events}")
    response = connection.getresponse()
    text, first_s, began = b"", 0.0, time.monotonic()
    while piece := response.read1():
        text += piece
        first_s = first_s or time.monotonic() - began
    connection.close()
    return text, first_s < (time.monotonic() - began) / 2


def _status(address: str, text: bytes) -> int:
    """The final one: 100 is none."""
    answer, statuses = b"", [b"100"]
    with socket.create_connection((address, PORT), 5) as connection:
        connection.sendall(text)
        while statuses[-1:] in ([], [b"100"]):
            answer += connection.recv(1000) or pytest.fail(f"no answer: {answer!r}")
            statuses = re.findall(rb"^HTTP/1.\d (\d{3})", answer, re.MULTILINE)
    return int(statuses[-1])


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)
def test_what_passes_and_what_is_refused_with_which_status(edge: str, name: str, case: Case) -> None:
    """As the page says."""
    table = {what: int(status.strip("`")) for what, status, _ in rows("docs/proxy.md", "| request | status | why |")}

    assert table[name] == case.status
    assert _status(edge, case.request) == case.status


def test_a_websocket_carries_both_directions_for_longer_than_a_connection_may_live(edge: str) -> None:
    """It ends when one of its ends does."""
    with socket.create_connection((edge, PORT), 5) as connection:
        connection.sendall(offer("websocket", "/chat", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"))
        head = connection.recv(1000)
        until = time.monotonic() + 2 * CAP_S
        answers = []
        while time.monotonic() < until:
            connection.sendall(b"hello")
            answers.append(connection.recv(100))
            time.sleep(0.2)

    assert head.startswith(b"HTTP/1.1 101")
    assert set(answers) == {b"echo:hello"}


def test_an_offer_that_is_ignored_never_reaches_the_application(edge: str) -> None:
    """The application would have to take it up."""
    with socket.create_connection((edge, PORT), 5) as connection:
        connection.sendall(offer("TLS/1.2", "/head"))
        head = connection.recv(4000)

    assert b" 200 " in head
    assert b"TLS/1.2" not in head


def _ask(address: str, path: str, method: str = "GET", body: Iterator[bytes] | None = None) -> tuple[int, int]:
    """Status, and length of the body; -1 for one that was cut."""
    connection = http.client.HTTPConnection(address, PORT, timeout=60)
    try:
        fields = {"Content-Length": "40"} if body else {}
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        try:
            length = len(response.read())
        except (http.client.IncompleteRead, ConnectionError):
            length = -1
        return response.status, length
    finally:
        connection.close()


def _slowly(pieces: int) -> Iterator[bytes]:
    for _ in range(pieces):
        yield b"x"
        time.sleep(0.45)


def test_by_default_nothing_that_moves_is_cut_and_a_slow_answer_is_awaited(edge: str) -> None:
    """A report of 17 s, a download, an upload and events of 18: once, each was cut after 15."""
    with ThreadPoolExecutor(4) as callers:
        report = callers.submit(_ask, edge, "/slow-17")
        download = callers.submit(_ask, edge, "/flow-60")
        upload = callers.submit(_ask, edge, "/upload", "POST", _slowly(40))
        events = callers.submit(_listen, edge, 60)

    assert report.result() == (200, 2)
    assert download.result() == (200, 60)
    assert upload.result() == (200, 2)
    assert events.result() == (b"".join(b"data: %d\n\n" % number for number in range(60)), True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/request/slow-3", (504, -2)),
        ("/request/flow-20", (200, -1)),
        ("/idle/slow-6", (504, -2)),
        ("/idle/flow-8", (200, 8)),
        ("/stream/slow-4", (504, -2)),
        ("/stream/flow-20", (200, -1)),
    ],
)
def test_each_limit_cuts_what_it_names_and_nothing_else(edge: str, path: str, expected: tuple[int, int]) -> None:
    """504 while the answer has not begun; afterwards it can only be cut."""
    status, length = _ask(edge, path)

    assert (status, length if expected[1] != -2 else -2) == expected


def test_a_limit_on_answers_does_not_cut_an_upload(edge: str) -> None:
    """It begins with the end of the request."""
    assert _ask(edge, "/request/upload", "POST", _slowly(40)) == (200, 2)


def test_a_quiet_grpc_stream_behind_an_http_gateway_is_not_cut(edge: str) -> None:
    """The node's protocol decides: neither the gateway's listener nor Envoy's own 15 seconds."""
    connection = http.client.HTTPConnection(edge, PORT, timeout=17)
    connection.request("POST", "/grpc/pkg.Service/Subscribe", headers={"content-type": "application/grpc"})

    with pytest.raises(TimeoutError):  # our own 17 s are over
        connection.getresponse()
    connection.close()
