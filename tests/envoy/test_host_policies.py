"""A virtual node's connection pool, outlier detection and health check, as the real Envoy carries them out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.proxies import (
    TELLER_NAME,
    gateway,
    teller,
)
from meshcert.host_policies import ConnectionPool, HealthCheck, OutlierDetection
from tests.envoy.http_application import application
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PORT = 9080
ONE_AT_A_TIME = ConnectionPool(max_connections=1, max_pending_requests=1)
OUTLIERS = OutlierDetection(max_server_errors=3, interval_s=0.5, base_ejection_s=60.0, max_ejection_percent=50)
HEALTH = HealthCheck(healthy_threshold=2, unhealthy_threshold=2, interval_s=0.5, timeout_s=2.0, path="/color")


class Stage(NamedTuple):
    """A gateway before two tasks of a node: one that answers, and one whose application answers nothing but 503."""

    caller: Container
    good: Container


@pytest.fixture(scope="module")
def stage(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[Stage]:
    """The bad task has no application at all: its Envoy answers 503."""
    start, api = begin
    publish_both(api)
    (backend,) = gateway().backends
    judged = backend._replace(outlier_detection=OUTLIERS, health_check=HEALTH)
    with CloudMap(new_address()) as cloud_map, ExitStack() as open_ones:
        good, bad = start(teller(connection_pool=ONE_AT_A_TIME)), start(teller())
        cloud_map.records[TELLER_NAME] = [good.address, bad.address]
        caller = start(gateway(backends=(judged,)), MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        open_ones.enter_context(application(good.address))
        for each in (good, bad, caller):
            each.wait_until_healthy()
        yield Stage(caller, good)


def test_a_task_that_answers_its_health_check_badly_gets_no_requests(stage: Stage) -> None:
    """Every caller asks by itself, over mutual TLS as requests go."""

    def one_is_left() -> bool:
        """Of the two that there are."""
        return stage.caller.stats("membership_healthy")["cluster.colorteller.membership_healthy"] == "1"

    eventually(one_is_left, "one task is left")
    counters = stage.caller.stats("colorteller.health_check")

    assert int(counters["cluster.colorteller.health_check.failure"]) > 0
    assert int(counters["cluster.colorteller.health_check.success"]) > 0
    assert {request(stage.caller.address, PORT)[0] for _ in range(20)} == {200}


def test_what_is_over_the_applications_pool_is_answered_503_at_once(stage: Stage) -> None:
    """One request is at the application, one waits, and a third is too much."""
    with ThreadPoolExecutor(6) as crowd:
        statuses = list(crowd.map(lambda _: request(stage.caller.address, PORT, "/slow-1")[0], range(6)))

    assert statuses.count(200) >= 2
    assert 503 in statuses
    assert int(stage.good.stats("upstream_rq_pending_overflow")["cluster.application.upstream_rq_pending_overflow"]) > 0
