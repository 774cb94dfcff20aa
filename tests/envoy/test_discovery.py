"""The tasks of a backend, as Cloud Map's API names them and Envoy gets them: the whole container, the real Envoy."""

from __future__ import annotations

from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request
from evidence.fixtures.proxies import PORT, TELLER_NAME, gateway
from evidence.fixtures.registrations import NAMESPACE, Registrations
from evidence.fixtures.serving import serving
from meshcert.envoy.host_health import FAILURES
from meshcert.envoy.http.routes import TASKS_TRIED
from meshcert.host_policies import OutlierDetection
from meshcert.proxy import Backend, RemoteNamespace, Route
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.proxy import ProxySettings
    from tests.envoy.conftest import Start

TELLER = "colorteller"
POLLED_WITHIN_S = 12.0


def caller() -> ProxySettings:
    """A gateway to one backend in plain text, whose tasks Cloud Map names."""
    backend = Backend(TELLER, TELLER_NAME, PORT, "http", cloud_map_service=TELLER)
    return gateway(identities={}, trust_bundles={}, backends=(backend,), cloud_map_namespace=NAMESPACE)


@pytest.fixture
def new_task(new_address: Callable[[], str]) -> Iterator[Callable[[], str]]:
    """Starts a task that answers with its address, and returns that."""
    with ExitStack() as open_servers:

        def start_task() -> str:
            address = new_address()
            open_servers.enter_context(serving(ThreadingHTTPServer((address, PORT), _Task)))
            return address

        yield start_task


def answers(edge: Container) -> str:
    """Who answers one request, or the status if it fails."""
    status, body = request(edge.address, PORT)
    return body if status == 200 else str(status)


def known(edge: Container) -> set[str]:
    """The addresses that Envoy has for the backend."""
    lines = edge.admin("/clusters")[1].splitlines()
    return {line.split("::")[1].rpartition(":")[0] for line in lines if line.startswith(f"{TELLER}::1")}


def open_to(edge: Container) -> set[str]:
    """Those of them that get requests, if Envoy has nothing against them itself."""
    lines = edge.admin("/clusters")[1].splitlines()
    return {address for address in known(edge) if f"{TELLER}::{address}:{PORT}::health_flags::healthy" in lines}


@both_deliveries
def test_envoy_calls_the_tasks_that_cloud_map_names_and_follows_them(
    start: Start, api: SecretsApi, new_task: Callable[[], str]
) -> None:
    """From the first request on; tasks come and go, all of them, and the zone goes with them."""
    first, second = new_task(), new_task()
    api.registrations.tasks[TELLER] = [first]
    edge = start(caller())
    edge.wait_until_healthy()

    assert eventually(lambda: answers(edge) == first, "an answer")
    assert f"{TELLER}::{first}:{PORT}::zone::eu-west-1a" in edge.admin("/clusters")[1]

    api.registrations.tasks[TELLER] = [first, second]
    eventually(lambda: known(edge) == {first, second}, "both", POLLED_WITHIN_S)
    assert {answers(edge) for _ in range(4)} == {first, second}

    api.registrations.tasks[TELLER] = []
    eventually(lambda: not known(edge), "none", POLLED_WITHIN_S)
    assert answers(edge) == "503"


def test_backends_of_another_account_are_found_by_its_role_and_make_none_of_this_one_late(
    start: Start, api: SecretsApi, new_task: Callable[[], str]
) -> None:
    """A refusal is told, and takes no endpoint away; meanwhile this account's own come and go."""
    role, remote = "arn:aws:iam::333344445555:role/cells.discovery", Registrations()
    here, there, later = new_task(), new_task(), new_task()
    api.registrations.tasks[TELLER], remote.tasks["ledger"] = [here], [there]
    api.sts.roles[role] = remote
    where = RemoteNamespace(NAMESPACE, "eu-central-1", role)
    ledger = Backend("ledger", "ledger.example", PORT, "http", cloud_map_service="ledger", remote_namespace=where)
    own = caller()
    routes = (Route("/", TELLER), Route("/ledger", "ledger"))
    edge = start(own._replace(backends=(*own.backends, ledger), routes=routes))
    edge.wait_until_healthy()

    def remote_answer() -> str:
        status, body = request(edge.address, PORT, path="/ledger")
        return body if status == 200 else str(status)

    assert eventually(lambda: answers(edge) == here and remote_answer() == there, "answers of both")

    remote.silence = "denied"
    api.registrations.tasks[TELLER] = [later]
    eventually(lambda: edge.told("discovery-waits") and known(edge) == {later}, "a refusal", POLLED_WITHIN_S)
    assert remote_answer() == there
    assert [line["backend"] for line in edge.told("discovery-waits")] == ["ledger"]


@both_deliveries
def test_a_task_that_starts_while_cloud_map_is_out_asks_dns_until_it_is_back(
    start: Start, api: SecretsApi, new_task: Callable[[], str], new_address: Callable[[], str]
) -> None:
    """The log names the backend; the API's answer replaces what DNS said."""
    by_dns, by_api = new_task(), new_task()
    api.registrations.silence = "broken"
    api.registrations.tasks[TELLER] = [by_api]
    with CloudMap(new_address()) as dns:
        dns.records[TELLER_NAME] = [by_dns]
        edge = start(caller(), MESHCERT_DNS_RESOLVER=dns.resolver)
        edge.wait_until_healthy()

        eventually(lambda: answers(edge) == by_dns, "an answer by DNS")
        (told,) = edge.told("found-by-dns")
        assert (told["backend"], told["tasks"]) == (TELLER, 1)
        assert "DiscoverInstances" in told["reason"]

        api.registrations.silence = None
        eventually(lambda: known(edge) == {by_api}, "the API's answer", POLLED_WITHIN_S)
        assert edge.told("discovery-recovered")


@both_deliveries
def test_a_task_that_knows_no_backend_is_not_healthy_and_so_gets_no_requests(
    start: Start, api: SecretsApi, new_task: Callable[[], str], new_address: Callable[[], str]
) -> None:
    """Cloud Map is out and DNS knows nobody: Envoy is up after 5 s, and would answer 503."""
    task = new_task()
    api.registrations.silence = "broken"
    api.registrations.tasks[TELLER] = [task]
    with CloudMap(new_address()) as dns:
        edge = start(caller(), MESHCERT_DNS_RESOLVER=dns.resolver)
        eventually(lambda: not edge.refuses(PORT) and answers(edge) == "503", "an Envoy that knows nobody")
        assert not edge.healthy()

        api.registrations.silence = None
        edge.wait_until_healthy()
        assert answers(edge) == task


def test_a_task_that_is_gone_and_still_named_fails_no_request(
    start: Start, api: SecretsApi, new_task: Callable[[], str], new_address: Callable[[], str]
) -> None:
    """Requests that meet it go to another task, and after three Envoy asks it no more for a while."""
    there, gone = new_task(), new_address()
    api.registrations.tasks[TELLER] = [there, gone]
    with serving(ThreadingHTTPServer((gone, PORT), _Task)):
        edge = start(caller())
        edge.wait_until_healthy()
        eventually(lambda: open_to(edge) == {there, gone}, "both")

    assert {answers(edge) for _ in range(30)} == {there}
    counters = edge.stats(f"cluster.{TELLER}.")
    assert int(counters[f"cluster.{TELLER}.upstream_cx_connect_fail"]) >= FAILURES
    assert int(counters[f"cluster.{TELLER}.outlier_detection.ejections_enforced_total"]) >= 1


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_tasks_that_still_start_fail_no_request(
    start: Start, api: SecretsApi, new_task: Callable[[], str], new_address: Callable[[], str], protocol: str
) -> None:
    """
    A deployment at 200 %, or a service that grows: Cloud Map names tasks long before they open their ways in.

    The worst order: all of those that start, one after the other.
    """
    ready = [new_task() for _ in range(2)]
    starting = [new_address() for _ in range(TASKS_TRIED - 1)]
    api.registrations.tasks[TELLER] = [*ready, *starting]
    settings = caller()
    (listener,), (backend,) = settings.listeners, settings.backends
    edge = start(
        settings._replace(
            listeners=(listener._replace(protocol=protocol),), backends=(backend._replace(protocol=protocol),)
        )
    )
    edge.wait_until_healthy()
    eventually(lambda: known(edge) == {*ready, *starting}, "all")

    assert {answers(edge) for _ in range(20 * TASKS_TRIED)} == set(ready)


@both_deliveries
def test_a_task_that_started_slowly_is_not_left_out_when_the_next_one_starts(
    start: Start, api: SecretsApi, new_task: Callable[[], str], new_address: Callable[[], str]
) -> None:
    """Two rotations one after the other. What Envoy judges by connections would count for a minute here."""
    (backend,) = caller().backends
    judged = backend._replace(outlier_detection=OutlierDetection(5, 1.0, 60.0, 100))
    before, slow, next_one = new_task(), new_address(), new_address()
    api.registrations.tasks[TELLER] = [before, slow]
    edge = start(caller()._replace(backends=(judged,)))
    edge.wait_until_healthy()
    eventually(lambda: known(edge) == {before, slow}, "both")
    assert {answers(edge) for _ in range(10)} == {before}

    with serving(ThreadingHTTPServer((slow, PORT), _Task)):
        api.registrations.tasks[TELLER] = [slow, next_one]
        eventually(lambda: known(edge) == {slow, next_one}, "the next one", POLLED_WITHIN_S)

        assert {answers(edge) for _ in range(10)} == {slow}
        assert open_to(edge) == {slow}


def test_without_any_task_that_answers_all_of_them_are_tried(
    start: Start, api: SecretsApi, new_task: Callable[[], str], new_address: Callable[[], str]
) -> None:
    """Envoy's judgement never makes a failure of its own: a service that is back is found at once."""
    gone = [new_address(), new_address()]
    api.registrations.tasks[TELLER] = gone
    edge = start(caller())
    edge.wait_until_healthy()
    assert {answers(edge) for _ in range(10)} == {"503"}

    api.registrations.tasks[TELLER] = [*gone, new_task()]
    eventually(lambda: len(known(edge)) == 3, "the task", POLLED_WITHIN_S)
    assert "503" not in {answers(edge) for _ in range(10)}


class _Task(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Say who it is."""
        address, _ = self.request.getsockname()
        body = address.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
