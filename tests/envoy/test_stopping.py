"""How a container ends."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.proxies import teller
from meshcert.contract import exit_codes
from meshcert.contract.stopping import DRAIN_S
from tests.envoy.http_application import application

if TYPE_CHECKING:
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

from meshcert.proxy import Listener, ListenerTls, ProxySettings, TlsMode


def _plain_teller() -> ProxySettings:
    """A teller that any client may ask, so that a test can ask it."""
    return teller(listeners=(*teller().listeners, Listener(9081, "http", ListenerTls(TlsMode.DISABLED))))


def _status_and_advice(node: Container) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection(node.address, 9081, timeout=5)
    connection.request("GET", "/")
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.getheader("connection")


def _gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_sigterm_drains_and_ends_with_0(start: Start, published: SecretsApi) -> None:
    """New requests are answered until the time is over, each with the advice to leave."""
    del published
    node = start(_plain_teller(), MESHCERT_DRAIN_S="3")
    start.application(node)
    node.wait_until_healthy()
    children = list(node.children().values())
    assert request(node.address, 9081)[0] == 200

    node.terminate()
    began = time.monotonic()
    eventually(lambda: node.events("draining"), "draining")
    answers = []
    while time.monotonic() - began < 1.5:
        answers.append(_status_and_advice(node))

    assert set(answers) == {(200, "close")}
    assert node.exit_code() == exit_codes.STOPPED
    assert 3.0 <= time.monotonic() - began < DRAIN_S
    assert _gone(children)


def test_a_connection_that_is_accepted_as_the_ways_in_close_is_still_answered(
    start: Start, published: SecretsApi
) -> None:
    """Its handshake may be under way then: nothing is in flight on it yet, and yet somebody waits."""
    del published
    node = start(_plain_teller(), MESHCERT_DRAIN_S="1")
    start.application(node)
    node.wait_until_healthy()
    with socket.create_connection((node.address, 9081), timeout=5) as accepted:
        node.terminate()
        eventually(lambda: node.refuses(9081), "closed")
        time.sleep(0.3)  # as long as a handshake takes on a busy machine

        accepted.sendall(b"GET / HTTP/1.1\r\nHost: teller\r\n\r\n")

        assert accepted.recv(64).startswith(b"HTTP/1.1 200 ")
    assert node.exit_code() == exit_codes.STOPPED


def test_a_second_sigterm_ends_at_once(start: Start, published: SecretsApi) -> None:
    """Somebody is in a hurry."""
    del published
    node = start(teller(), MESHCERT_DRAIN_S="60")
    node.wait_until_healthy()

    node.terminate()
    eventually(lambda: node.events("draining"), "draining")
    node.terminate()

    assert node.exit_code() == exit_codes.STOPPED


def test_sigterm_while_starting_ends_at_once(start: Start, published: SecretsApi) -> None:
    """Nothing is served yet, so there is nothing to drain."""
    published.fail_always("hanging")
    node = start(teller())
    eventually(lambda: published.calls, "the first call")
    children = list(node.children().values())

    node.terminate()

    assert node.exit_code() == exit_codes.STOPPED
    assert _gone(children)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, 137), (signal.SIGTERM, exit_codes.ENVOY)], ids=["killed", "ended by itself"]
)
def test_the_death_of_envoy_ends_the_container(
    start: Start, published: SecretsApi, number: signal.Signals, code: int
) -> None:
    """Killed: 128 plus the signal, as an operator knows it from shells; otherwise 71. No watcher is left."""
    del published
    node = start(teller())
    node.wait_until_healthy()
    children = node.children()

    os.kill(children["envoy"], number)

    assert node.exit_code() == code
    assert node.events("envoy-ended")
    assert _gone(list(children.values()))


def test_nothing_outlives_a_killed_supervisor(start: Start, published: SecretsApi) -> None:
    """The kernel takes the children with it, also where no container does."""
    del published
    node = start(teller())
    node.wait_until_healthy()
    children = list(node.children().values())

    node.process.kill()
    node.process.wait()

    eventually(lambda: _gone(children), "everything gone")


def test_a_watcher_that_keeps_dying_is_restarted_ever_more_slowly(start: Start, published: SecretsApi) -> None:
    """It never takes Envoy with it."""
    del published
    node: Container = start(teller())
    node.wait_until_healthy()
    envoy = node.children()["envoy"]
    for _ in range(2):
        watcher = eventually(lambda: node.children().get("watcher"), "a watcher")
        os.kill(watcher, signal.SIGKILL)
        eventually(lambda gone=watcher: node.children().get("watcher") != gone, "its end")  # type: ignore[misc]  # a default mypy cannot infer

    eventually(lambda: len(node.events("watcher-ended")) == 2, "both told")
    first, second = (event["restart_in_s"] for event in node.events("watcher-ended"))
    assert 0 < first < second
    assert node.children()["envoy"] == envoy
    assert node.healthy()


OUTLASTING_S = 60
STOPS = [(0.0, 1), (4.0, 7)]
"""Drain in seconds, and how long a request takes that this drain lets end, and a shorter one would not."""


def test_requests_get_the_drain_and_five_seconds_more_then_they_are_cut_and_counted(
    start: Start, published: SecretsApi
) -> None:
    """Each task with its own drain, side by side."""
    del published
    nodes = [start(_plain_teller(), MESHCERT_DRAIN_S=str(drain_s)) for drain_s, _ in STOPS]
    with ExitStack() as running:
        callers = running.enter_context(ThreadPoolExecutor())
        asked = []
        for node, (_, within_s) in zip(nodes, STOPS, strict=True):
            node.wait_until_healthy()
            running.enter_context(application(node.address))
            eventually(lambda node=node: request(node.address, 9081)[0] == 200, "a first answer")  # type: ignore[misc]  # a default mypy cannot infer
            asked.append([callers.submit(_ask, node, seconds) for seconds in (within_s, OUTLASTING_S, OUTLASTING_S)])
            under_way = {"http.ingress_9081_plain.downstream_rq_active": "3"}
            eventually(
                lambda node=node, under_way=under_way: node.stats(*under_way) == under_way,  # type: ignore[misc]  # defaults mypy cannot infer
                "all under way",
            )
            node.terminate()

        assert [node.exit_code() for node in nodes] == [exit_codes.STOPPED] * 2
        assert [[each.result() for each in one] for one in asked] == [[200, None, None]] * 2
    assert [[event["requests"] for event in node.events("requests-cut")] for node in nodes] == [[2], [2]]


def _ask(node: Container, seconds: int) -> int | None:
    """The status of a request that takes this long; None if it was cut."""
    connection = http.client.HTTPConnection(node.address, 9081, timeout=OUTLASTING_S)
    connection.request("GET", f"/slow-{seconds}")
    try:
        return connection.getresponse().status
    except (http.client.HTTPException, ConnectionError):
        return None
    finally:
        connection.close()
