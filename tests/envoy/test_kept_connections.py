"""The proxy leaves a kept connection before the application closes it, so no request meets one that is being closed."""

from __future__ import annotations

import asyncio
import http.client
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import Container, eventually, request
from evidence.fixtures.proxies import teller
from meshcert.proxy import Listener, ListenerTls, TlsMode
from tests.envoy.kept_servers import server

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PLAIN_PORT = 9081
CALLERS = 8
COUNTED = ("upstream_cx_destroy_remote", "upstream_cx_total")
"""Connections that the application has closed, and all."""
ROUNDS = {"gunicorn": (2.0, 7), "node": (5.0, 3), "uvicorn": (5.0, 3)}
"""How long each keeps an idle connection, seconds, and how often each caller asks it."""
MANY = 160


def _teller(start: Start, keep_alive_s: float) -> Container:
    open_listener = Listener(PLAIN_PORT, "http", ListenerTls(TlsMode.DISABLED))
    return start(teller(listeners=(*teller().listeners, open_listener), application_keep_alive_s=keep_alive_s))


def _answers(container: Container) -> bool:
    with suppress(OSError):  # a server that is still starting may accept, and not answer
        return request(container.address, PLAIN_PORT)[0] == 200
    return False


def _came(written: Path) -> Counter[str]:
    """How often each request came to the application."""
    return Counter(line for line in written.read_text().splitlines() if line.startswith("request-"))


@pytest.mark.parametrize(
    ("kind", "settings_s"), [("node, 2 s", 2.0), ("node", 2.0), ("node", 5.0), ("gunicorn", 2.0), ("uvicorn", 5.0)]
)
def test_the_application_never_closes_a_connection_that_the_proxy_keeps(
    start: Start, published: SecretsApi, tmp_path: Path, kind: str, settings_s: float
) -> None:
    """Where the setting is what the server does, and where it is less; and no request reaches it twice."""
    del published
    container = _teller(start, settings_s)
    container.wait_until_healthy()

    def ask(number: int) -> int:
        connection = http.client.HTTPConnection(container.address, PLAIN_PORT, timeout=10)
        connection.request("GET", "/", headers={"x-request": f"request-{number}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def count(name: str) -> int:
        return int(container.stats(f"cluster.application.{name}")[f"cluster.application.{name}"])

    with server(kind, container.address, 8080, tmp_path / "written"):
        eventually(lambda: _answers(container), "the application answers")
        before = [count(name) for name in COUNTED]  # refused while the application was starting
        with ThreadPoolExecutor(CALLERS) as callers:
            statuses = list(callers.map(ask, range(3 * CALLERS)))
        eventually(lambda: count("upstream_cx_active") == 0, "every connection ended")
        closed, opened = (count(name) - earlier for name, earlier in zip(COUNTED, before, strict=True))

    assert statuses == [200] * 3 * CALLERS
    assert closed == 0 < opened
    assert _came(tmp_path / "written") == {f"request-{number}": 1 for number in range(3 * CALLERS)}


async def _ask_now_and_then(address: str, caller: int, kept_s: float, rounds: int) -> list[bytes]:
    """One caller's answers, each after about as long a silence as the server bears."""
    statuses = []
    for number in range(rounds):
        reader, writer = await asyncio.open_connection(address, PLAIN_PORT)
        lines = ("GET / HTTP/1.1", "Host: a", f"X-Request: request-{caller}-{number}", "Connection: close", "", "")
        writer.write("\r\n".join(lines).encode())
        statuses.append((await reader.read()).split(b" ")[1])
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(kept_s + random.uniform(-0.15, 0.05))  # noqa: S311 -- no secret
    return statuses


def test_requests_that_come_when_a_server_gives_up_waiting_are_all_answered_once(
    start: Start, published: SecretsApi, tmp_path: Path
) -> None:
    """Two thousand, at gunicorn, Node and uvicorn as they are started mostly, with the setting that fits each."""
    del published
    containers = {kind: _teller(start, kept_s) for kind, (kept_s, _) in ROUNDS.items()}

    async def everybody() -> list[list[bytes]]:
        return await asyncio.gather(
            *(
                _ask_now_and_then(container.address, caller, *ROUNDS[kind])
                for kind, container in containers.items()
                for caller in range(MANY)
            )
        )

    with ExitStack() as servers:
        for kind, container in containers.items():
            container.wait_until_healthy()
            servers.enter_context(server(kind, container.address, 8080, tmp_path / kind))
            eventually(lambda container=container: _answers(container), "the application answers")  # type: ignore[misc]  # a default mypy cannot infer
        answers = asyncio.run(everybody())

    assert Counter(status for one in answers for status in one) == {b"200": sum(len(one) for one in answers)}
    for kind, (_, rounds) in ROUNDS.items():
        came = _came(tmp_path / kind)
        assert set(came.values()) == {1}
        assert len(came) == MANY * rounds
