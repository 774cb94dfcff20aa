"""A client that keeps asking, and says what failed."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from local.gateway_client import SteadyClient
from local.requests_seen import RequestsSeen, requests_seen
from local.running_mesh import wait_until
from local.tls_client import NO_TLS

if TYPE_CHECKING:
    from pathlib import Path


class _Asked:
    """Answers that the store is away; counts its clients."""

    def __init__(self) -> None:
        self.clients = 0

    def client(self) -> httpx.Client:
        self.clients += 1
        return httpx.Client(verify=NO_TLS)

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        del client, request_id
        return httpx.Response(502, text="store: away")

    def said(self, response: httpx.Response) -> str:
        return str(response.status_code)


def _asked_often(asked: _Asked, seen: RequestsSeen, kept_s: float) -> SteadyClient:
    client = SteadyClient(asked, "200", seen, name="web → orders:9443", kept_s=kept_s)
    with client:
        wait_until(lambda: client.requests >= 20, "some requests", within_s=30)
    return client


@pytest.mark.parametrize(("kept_s", "requests_each"), [(math.inf, 2), (0.0, 1)])
def test_a_connection_has_two_requests_or_fewer_if_it_gets_old(
    tmp_path: Path, kept_s: float, requests_each: int
) -> None:
    """Its server may be about to close it."""
    asked = _Asked()
    with requests_seen(tmp_path / "seen") as seen:
        client = _asked_often(asked, seen, kept_s)

    assert asked.clients == pytest.approx(client.requests / requests_each, abs=1)


def test_a_failure_says_who_asked_whom_when_how_and_what_came_back(tmp_path: Path) -> None:
    """So that logs can be read at that place."""
    with requests_seen(tmp_path / "seen") as seen:
        client = _asked_often(_Asked(), seen, math.inf)

    said = client.failures[0]
    assert re.fullmatch(
        r"web → orders:9443 at \S+ UTC after 0\.\d{3} s on a connection 0\.\d{3} s old: 502 store: away", said
    )
