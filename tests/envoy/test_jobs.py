"""The sidecar of a job: ways out over mutual TLS until it is told to stop, and then an end without a drain."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request
from evidence.fixtures.proxies import TELLER_NAME, gateway, teller
from meshcert.contract import exit_codes
from meshcert.proxy import Route, WayOut
from tests.envoy.http_application import application
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

LOCAL = 15100
AT_ONCE_S = 5.0
"""A drain takes 15 s and a second more."""


def test_a_jobs_sidecar_is_healthy_without_an_application_and_ends_at_once(
    start: Start, api: SecretsApi, new_address: Callable[[], str]
) -> None:
    """No readiness container, no listener for others; the job calls a backend by its certificate."""
    publish_both(api, tellers=(TELLER_NAME,))
    way = WayOut("colorteller", (TELLER_NAME,), "http", (Route("/", "colorteller"),), LOCAL)
    settings = gateway(name="report", listeners=(), routes=(), ways_out=(way,))
    with CloudMap(new_address()) as cloud_map:
        callee = start(teller())
        cloud_map.records |= {TELLER_NAME: [callee.address]}
        job = start(settings, MESHCERT_DNS_RESOLVER=cloud_map.resolver, MESHCERT_DRAIN_S="0")
        with application(callee.address):
            for each in (callee, job):
                each.wait_until_healthy()
            eventually(lambda: request(job.address, LOCAL, host=TELLER_NAME)[0] == 200, "a first answer")

            began = time.monotonic()
            job.terminate()

            assert job.exit_code() == exit_codes.STOPPED
            assert time.monotonic() - began < AT_ONCE_S
