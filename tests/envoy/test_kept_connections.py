"""The proxy leaves a kept connection before the application closes it, so no request meets one that is being closed."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import eventually, request
from evidence.fixtures.proxies import teller
from meshcert.proxy import Listener, ListenerTls, TlsMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PLAIN_PORT = 9081
CALLERS = 8
COUNTED = ("upstream_cx_destroy_remote", "upstream_cx_total")
"""Connections that the application has closed, and all."""
NODE_SERVER = """
const [address, port, keepAliveMs] = process.argv.slice(1);
const server = require("http").createServer((request, response) => {
  console.log(request.headers["x-request"]);
  setTimeout(() => response.end("ok"), 50);
});
if (+keepAliveMs) server.keepAliveTimeout = +keepAliveMs;
server.listen(+port, address);
"""


@contextmanager
def _node(address: str, port: int, keep_alive_ms: int) -> Iterator[subprocess.Popen[str]]:
    """A server of Node.js; 0 leaves its own 5 seconds."""
    program = shutil.which("node") or pytest.fail("node is not on PATH: make setup installs it")
    command = [program, "-e", NODE_SERVER, address, str(port), str(keep_alive_ms)]
    # The wheel's command is a program that starts another: both are ended.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("keep_alive_ms", "settings_s"), [(2000, 2.0), (0, 2.0), (0, 5.0)], ids=["2 s", "5 s, not set", "5 s, set"]
)
def test_the_application_never_closes_a_connection_that_the_proxy_keeps(
    start: Start, published: SecretsApi, keep_alive_ms: int, settings_s: float
) -> None:
    """The 2 seconds of gunicorn and the 5 of Node; and no request reaches it twice."""
    del published
    open_listener = Listener(PLAIN_PORT, "http", ListenerTls(TlsMode.DISABLED))
    container = start(
        teller(listeners=(*teller().listeners, open_listener), application_keep_alive_s=settings_s),
    )
    container.wait_until_healthy()

    def ask(number: int) -> int:
        connection = http.client.HTTPConnection(container.address, PLAIN_PORT, timeout=10)
        connection.request("GET", "/", headers={"x-request": f"request-{number}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def count(name: str) -> int:
        return int(container.stats(f"cluster.application.{name}")[f"cluster.application.{name}"])

    with _node(container.address, 8080, keep_alive_ms) as server:
        eventually(lambda: request(container.address, PLAIN_PORT)[0] == 200, "the application answers")
        before = [count(name) for name in COUNTED]  # refused while the application was starting
        with ThreadPoolExecutor(CALLERS) as callers:
            statuses = list(callers.map(ask, range(3 * CALLERS)))
        eventually(lambda: count("upstream_cx_active") == 0, "every connection ended")
        closed, opened = (count(name) - earlier for name, earlier in zip(COUNTED, before, strict=True))
        os.killpg(server.pid, signal.SIGKILL)
        reached = re.findall(r"request-\d+", server.communicate()[0])

    assert statuses == [200] * 3 * CALLERS
    assert closed == 0 < opened
    assert sorted(reached) == sorted(f"request-{number}" for number in range(3 * CALLERS))
