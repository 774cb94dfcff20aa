"""HTTP as applications speak it, through a gateway and a node: versions, upgrades, long answers, timeouts."""

from __future__ import annotations

import http.client
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.proxies import PORT
from meshcert.proxy import Route
from meshcert.timeouts import Timeouts
from tests.docs.pages import rows
from tests.envoy.conftest import APPLICATION_PORT
from tests.envoy.http_application import application
from tests.envoy.http_spoken_cases import CASES, Case, offer
from tests.envoy.two_ends import SECOND, two_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

CAP_S = 2.0
"""Longest life of a connection, seconds: what takes longer must not be cut by it."""
ROUTES = (
    Route("/", "colorteller"),
    Route("/grpc/", SECOND),
    Route("/request/", "colorteller", Timeouts(per_request_s=1.0)),
    Route("/idle/", "colorteller", Timeouts(idle_s=2.0)),
    Route("/stream/", "colorteller", Timeouts(stream_s=1.5)),
)


@pytest.fixture(scope="module")
def edge(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[str]:
    """Address of a gateway before a node that speaks http and one that speaks grpc and says nothing."""
    with (
        two_nodes(*begin, new_address, "grpc", ROUTES, max_connection_duration_s=CAP_S) as nodes,
        application(nodes.first.address),
        socket.create_server((nodes.second.address, APPLICATION_PORT)),
    ):
        nodes.wait_until_answered("/")
        yield nodes.gateway.address


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


def _subscribe(address: str) -> str:
    """What a caller meets who waits 17 s for the first word of a gRPC stream."""
    connection = http.client.HTTPConnection(address, PORT, timeout=17)
    connection.request("POST", "/grpc/pkg.Service/Subscribe", headers={"content-type": "application/grpc"})
    try:
        return str(connection.getresponse().status)
    except TimeoutError:
        return "silence"
    finally:
        connection.close()


LASTING: dict[str, tuple[Callable[[str], object], object]] = {
    "a slow report": (lambda address: _ask(address, "/slow-17"), (200, 2)),
    "a download": (lambda address: _ask(address, "/flow-60"), (200, 60)),
    "an upload": (lambda address: _ask(address, "/upload", "POST", _slowly(40)), (200, 2)),
    # A limit on answers begins with the end of the request.
    "an upload, and a limit on answers": (
        lambda address: _ask(address, "/request/upload", "POST", _slowly(40)),
        (200, 2),
    ),
    "events": (lambda address: _listen(address, 60), (b"".join(b"data: %d\n\n" % at for at in range(60)), True)),
    # The node's protocol decides: neither the gateway's listener nor Envoy's own 15 seconds.
    "a quiet gRPC stream behind an http gateway": (_subscribe, "silence"),
}
"""What takes 17 or 18 s, and what the caller meets: once, each was cut after 15."""


@pytest.fixture(scope="module")
def met(edge: str) -> dict[str, object]:
    """What each caller has met, all at the same time."""
    with ThreadPoolExecutor(len(LASTING)) as callers:
        asked = {name: callers.submit(ask, edge) for name, (ask, _) in LASTING.items()}
    return {name: answer.result() for name, answer in asked.items()}


@pytest.mark.parametrize("name", LASTING)
def test_by_default_nothing_is_cut_that_moves_or_is_awaited(met: dict[str, object], name: str) -> None:
    """However long it takes."""
    assert met[name] == LASTING[name][1]
