"""A task is ready when its application is: until then its ports refuse connections, and they close first."""

from __future__ import annotations

import http.client
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.proxies import TELLER_NAME, gateway, teller
from evidence.fixtures.serving import serving
from meshcert.contract import exit_codes
from meshcert.proxy import Listener, ListenerTls, ProxySettings, Route, TlsMode, WayOut
from tests.envoy.conftest import APPLICATION_PORT, both_deliveries
from tests.envoy.http_application import application as slow_application
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PLAIN_PORT = 9081
EGRESS = 15001


def _node(**changes: Any) -> ProxySettings:
    """A teller that waits for its application, and that any client may ask on a second port."""
    plain = Listener(PLAIN_PORT, "http", ListenerTls(TlsMode.DISABLED))
    return teller(listeners=(*teller().listeners, plain), awaits_application=True, **changes)


@both_deliveries
def test_connections_are_refused_until_the_application_answers(start: Start, published: SecretsApi) -> None:
    """Not accepted and answered with 503: so callers take another task. Envoy has judged its secrets before."""
    del published
    node = start(_node())
    node.wait_until_healthy()
    readiness = start.readiness(node)
    eventually(lambda: readiness.events("application-not-answering"), "the reason told")

    assert [node.refuses(port) for port in (9080, PLAIN_PORT)] == [True, True]
    assert not readiness.healthy()
    assert node.told("secrets-accepted")

    start.application(node)
    readiness.wait_until_healthy()

    assert request(node.address, PLAIN_PORT)[0] == 200
    assert not node.refuses(9080)


def test_a_way_in_whose_port_the_application_has_is_named(start: Start, published: SecretsApi) -> None:
    """One of two: with the other alone the task would be called ready, and every caller of this one refused."""
    del published
    node = start(_node())
    node.wait_until_healthy()
    start.application(node)

    with socket.create_server((node.address, PLAIN_PORT)):
        readiness = start.readiness(node)
        told = eventually(lambda: readiness.events("application-not-answering"), "the reason told")

        assert f"Envoy has not opened port {PLAIN_PORT}. " in told[-1]["reason"]
        assert not readiness.healthy()


class _Sick(BaseHTTPRequestHandler):
    """Answers ``/healthz`` with what it is told to, and ``/slow`` when it is told to."""

    protocol_version = "HTTP/1.1"
    status = 503
    begun = Event()
    over = Event()

    def do_GET(self) -> None:
        """Say how it is."""
        if self.path == "/slow":
            type(self).begun.set()
            type(self).over.wait(20)
        self.send_response(type(self).status if self.path == "/healthz" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def application() -> type[_Sick]:
    """A kind of application of the test's own."""
    return type("Sick", (_Sick,), {"begun": Event(), "over": Event()})


def _server(node: Container, kind: type[_Sick]) -> AbstractContextManager[None]:
    """One application beside a container."""
    return serving(ThreadingHTTPServer((node.address, APPLICATION_PORT), kind))


def test_a_path_is_asked_for_through_envoy(start: Start, published: SecretsApi, application: type[_Sick]) -> None:
    """Any status but 200 to 299 is no readiness, and the log says which it was; a sick one loses it again."""
    del published
    node = start(_node())
    node.wait_until_healthy()
    with _server(node, application):
        readiness = start.readiness(node, "/healthz")
        told = eventually(lambda: readiness.events("application-not-answering"), "the reason told")

        assert told[0]["reason"] == "GET /healthz: 503"
        assert node.refuses(PLAIN_PORT)

        application.status = 204
        readiness.wait_until_healthy()
        assert request(node.address, PLAIN_PORT)[0] == 200
        assert int(node.stats("http.readiness.downstream_rq_2xx")["http.readiness.downstream_rq_2xx"]) >= 1

        application.status = 500
        eventually(lambda: not readiness.healthy(), "no longer ready")
        assert request(node.address, PLAIN_PORT)[0] == 200, "it may be in a moment: the ways in stay open"


def test_stopped_first_it_advises_callers_to_leave_then_closes_and_waits(
    start: Start, published: SecretsApi, application: type[_Sick]
) -> None:
    """As ECS stops a task: readiness, then the application, then Envoy, which has nothing left to wait for."""
    del published
    node = start(_node(), MESHCERT_DRAIN_S="3")
    node.wait_until_healthy()
    with _server(node, application):
        readiness = start.readiness(node)
        readiness.wait_until_healthy()

        readiness.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        eventually(lambda: readiness.events("draining"), "draining")
        connection = http.client.HTTPConnection(node.address, PLAIN_PORT, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().getheader("connection") == "close"
        slow: list[int] = []
        asking = Thread(target=lambda: slow.append(request(node.address, PLAIN_PORT, "/slow")[0]))
        asking.start()
        application.begun.wait(5)
        eventually(lambda: node.refuses(PLAIN_PORT), "closed")
        application.over.set()

        assert time.monotonic() - began >= 3.0
        assert node.process.poll() is None
        assert readiness.exit_code() == exit_codes.STOPPED
        asking.join()
        assert slow == [200], "what was in flight is answered"
    node.terminate()

    assert node.exit_code() == exit_codes.STOPPED, "at once: with an application it would wait for half a minute"


def test_requests_that_outlast_the_drain_are_counted_and_left_to_the_application(
    start: Start, published: SecretsApi
) -> None:
    """It is asked to end next, and has its own time for them: only then are they cut."""
    del published
    node = start(_node(), MESHCERT_DRAIN_S="0")
    node.wait_until_healthy()
    with slow_application(node.address), ThreadPoolExecutor(1) as caller:
        readiness = start.readiness(node)
        readiness.wait_until_healthy()
        answer = caller.submit(_status_after_a_while, node)
        name = f"http.ingress_{PLAIN_PORT}_plain.downstream_rq_active"
        eventually(lambda: node.stats(name) == {name: "1"}, "under way")

        readiness.process.send_signal(signal.SIGTERM)

        assert readiness.exit_code() == exit_codes.STOPPED
        assert [event["requests"] for event in readiness.events("requests-left")] == [1]
        assert answer.result() == 200


def test_tcp_sessions_that_outlast_the_drain_are_counted(start: Start, published: SecretsApi) -> None:
    """Nobody can ask a client of TCP to leave: whoever ends within the five seconds is not cut."""
    del published
    listeners = (*teller().listeners, Listener(PLAIN_PORT, "tcp", ListenerTls(TlsMode.DISABLED)))
    node = start(teller(listeners=listeners, awaits_application=True), MESHCERT_DRAIN_S="0")
    node.wait_until_healthy()
    start.application(node)
    readiness = start.readiness(node)
    readiness.wait_until_healthy()

    with socket.create_connection((node.address, PLAIN_PORT)), socket.create_connection((node.address, PLAIN_PORT)):
        name = f"listener.ingress_{PLAIN_PORT}.downstream_cx_active"
        eventually(lambda: node.stats(name) == {name: "2"}, "two sessions")
        readiness.process.send_signal(signal.SIGTERM)
        assert readiness.exit_code() == exit_codes.STOPPED

    (told,) = readiness.events("requests-left")
    assert (told["requests"], told["tcp_sessions"]) == (0, 2)


def _status_after_a_while(node: Container) -> int:
    connection = http.client.HTTPConnection(node.address, PLAIN_PORT, timeout=60)
    connection.request("GET", "/slow-10")
    return connection.getresponse().status


def test_if_the_application_is_gone_nothing_is_waited_for(start: Start, published: SecretsApi) -> None:
    """Its crash is why ECS stops the task: the ways in close at once."""
    del published
    node = start(_node(), MESHCERT_DRAIN_S="60")
    node.wait_until_healthy()
    end_application = start.application(node)
    readiness = start.readiness(node)
    readiness.wait_until_healthy()
    end_application()

    for container in (readiness, node):
        container.process.send_signal(signal.SIGTERM)

    assert readiness.exit_code() == exit_codes.STOPPED
    assert node.exit_code() == exit_codes.STOPPED


def test_told_all_at_once_envoy_closes_the_ways_in_and_outlasts_the_application(
    start: Start, published: SecretsApi
) -> None:
    """In case ECS does not stop containers in order: whatever the application still calls, the ways out stand."""
    del published
    node = start(_node(), MESHCERT_DRAIN_S="0.5")
    node.wait_until_healthy()
    end_application = start.application(node)
    readiness = start.readiness(node)
    readiness.wait_until_healthy()

    for container in (readiness, node):
        container.process.send_signal(signal.SIGTERM)
    eventually(lambda: node.refuses(PLAIN_PORT), "closed")
    assert readiness.exit_code() == exit_codes.STOPPED
    assert not node.refuses(9902), "Envoy's loopback listener stands"
    assert node.process.poll() is None

    end_application()
    assert node.exit_code() == exit_codes.STOPPED


def test_ways_out_stand_before_the_application_listens_and_until_it_has_ended(
    start: Start, api: SecretsApi, new_address: Callable[[], str]
) -> None:
    """So an application may call a backend while it starts, and again after SIGTERM: not one call fails."""
    publish_both(api)
    way_out = WayOut("colorteller", (TELLER_NAME,), "http", (Route("/", "colorteller"),))
    settings = _node()._replace(
        name="front",
        listeners=(Listener(PLAIN_PORT, "http", ListenerTls(TlsMode.DISABLED)),),
        **{field: getattr(gateway(), field) for field in ("identities", "trust_bundles", "backends")},
        ways_out=(way_out,),
        egress_port=EGRESS,
    )
    callee = start(teller())
    with CloudMap(new_address()) as cloud_map, slow_application(callee.address):
        cloud_map.records[TELLER_NAME] = [callee.address]
        callee.wait_until_healthy()
        front = start(settings, MESHCERT_DRAIN_S="0.5", MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        front.wait_until_healthy()
        readiness = start.readiness(front)

        assert (front.refuses(PLAIN_PORT), _status_of_call(front)) == (True, 200)

        end_application = start.application(front)
        readiness.wait_until_healthy()
        for container in (readiness, front):
            container.process.send_signal(signal.SIGTERM)
        asked = []
        while not front.refuses(PLAIN_PORT):
            asked.append(_status_of_call(front))
        assert readiness.exit_code() == exit_codes.STOPPED
        asked.append(_status_of_call(front))
        end_application()

        assert set(asked) == {200}
        assert front.exit_code() == exit_codes.STOPPED


def _status_of_call(front: Container) -> int:
    connection = http.client.HTTPConnection(front.address, EGRESS, timeout=30)
    try:
        connection.request("GET", "/head", headers={"Host": TELLER_NAME})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_task_that_never_was_ready_stops_at_once(start: Start, published: SecretsApi) -> None:
    """Nothing was open, so nobody is there to leave."""
    del published
    node = start(_node(), MESHCERT_DRAIN_S="60")
    node.wait_until_healthy()
    readiness = start.readiness(node)
    eventually(lambda: readiness.events("application-not-answering"), "it asks")

    readiness.process.send_signal(signal.SIGTERM)

    assert readiness.exit_code() == exit_codes.STOPPED
