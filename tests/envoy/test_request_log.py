"""The access log of requests: off unless it is asked for, and what a line says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import eventually, request
from evidence.fixtures.proxies import teller
from meshcert.envoy.http.request_log import FIELDS, REQUEST_EVENT
from meshcert.proxy import ListenerTls, ProxySettings, TlsMode
from meshcert.request_log import RequestLog
from tests.envoy.http_application import application

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

PORT = 9080


def _plain(log: RequestLog | None) -> ProxySettings:
    """A node in plain text: it needs no secret."""
    (listener,) = teller().listeners
    plain = listener._replace(tls=ListenerTls(TlsMode.DISABLED))
    return teller(listeners=(plain,), identities={}, trust_bundles={}, request_log=log)


def _asked(start: Start, log: RequestLog | None) -> Container:
    """A container that has answered one request."""
    container = start(_plain(log))
    with application(container.address):
        container.wait_until_healthy()
        eventually(lambda: request(container.address, PORT, "/color?token=hidden")[0] == 200, "an answer")
    return container


def test_a_line_is_json_and_says_who_asked_what_without_the_query(begin: tuple[Start, SecretsApi]) -> None:
    """A query may hold what nobody wants in a log."""
    container = _asked(begin[0], RequestLog())
    line = next(each for each in container.told(REQUEST_EVENT) if each["status"] == 200)

    assert line.keys() >= FIELDS.keys()
    assert (line["method"], line["path"], line["service"]) == ("GET", "/color", "colorteller")
    assert "hidden" not in container.log


@pytest.mark.parametrize(
    ("log", "read"),
    [
        (RequestLog(text="%REQ(:METHOD)% gave %RESPONSE_CODE%"), lambda line: line == "GET gave 200"),
        (RequestLog(fields={"code": "%RESPONSE_CODE%"}), lambda line: line.startswith("{") and _code(line) == 200),
    ],
)
def test_the_mesh_file_may_say_what_a_line_says(
    begin: tuple[Start, SecretsApi], log: RequestLog, read: Callable[[str], bool]
) -> None:
    """In Envoy's command operators."""
    container = _asked(begin[0], log)

    eventually(lambda: any(map(read, container.log.splitlines())), "the line")


def test_without_it_no_request_is_logged(begin: tuple[Start, SecretsApi]) -> None:
    """Lines cost money."""
    container = _asked(begin[0], None)

    assert not container.events(REQUEST_EVENT)
    assert ProxySettings.from_json(_plain(None).to_json()).request_log is None


def _code(line: str) -> int | None:
    """The field of our own form, if it is there."""
    code: int | None = json.loads(line).get("code")
    return code
