"""Requests are counted where they arrive, and a client tells which came twice."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import httpx
import pytest

from local.cdk import ROOT
from local.gateway_client import SteadyClient
from local.requests_seen import PIPE_BYTES, RequestIds, requests_seen, told_twice, write_id
from local.running_mesh import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.requests_seen import RequestsSeen


def test_what_comes_once_and_what_comes_twice_is_told_apart(tmp_path: Path) -> None:
    """By whomever: each client knows its own."""
    mine, others = RequestIds(), RequestIds()
    with requests_seen(tmp_path / "seen") as seen:
        first, second, other = mine.next(), mine.next(), others.next()
        for request_id in (first, second, other, second, other):
            write_id(str(seen.path), request_id)

        assert seen.of(mine.prefix) == {first: 1, second: 2}
        assert told_twice(seen.of(mine.prefix)) == [f"{second} came to the application 2 times"]


def test_nobody_who_reads_makes_no_request_wait(tmp_path: Path) -> None:
    """A pipe that is not there, and one that is full."""
    write_id(str(tmp_path / "nowhere"), "a-1")
    ids = RequestIds()
    with requests_seen(tmp_path / "seen") as seen:
        for _ in range(PIPE_BYTES // 10):
            write_id(str(seen.path), ids.next())

        assert 1000 < len(seen.of(ids.prefix)) < PIPE_BYTES // 10


class _Repeated:
    """A gateway that sends the second request twice."""

    def __init__(self, seen: RequestsSeen) -> None:
        self._seen = seen
        self._asked = 0

    def client(self) -> httpx.Client:
        return httpx.Client()

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        del client
        self._asked += 1
        for _ in range(2 if self._asked == 2 else 1):
            write_id(str(self._seen.path), request_id)
        return httpx.Response(200)

    def said(self, response: httpx.Response) -> str:
        return str(response.status_code)


def test_a_steady_client_has_failed_with_what_came_twice(tmp_path: Path) -> None:
    """Though each answer was right."""
    with requests_seen(tmp_path / "seen") as seen, SteadyClient(_Repeated(seen), "200", seen) as client:
        wait_until(lambda: client.requests > 5, "some requests", within_s=30)

    assert client.counted == client.requests
    assert client.twice == len(client.failures) == 1
    assert client.failures[0].endswith("-1 came to the application 2 times")


@pytest.mark.parametrize("file", ["examples/color/colorteller/app.py"])
def test_an_application_of_ours_writes_as_this_reads(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an image of its own, and has this in its own words."""
    with requests_seen(tmp_path / "seen") as seen:
        monkeypatch.setenv("MESHCERT_REQUESTS_SEEN", str(seen.path))
        spec = importlib.util.spec_from_file_location("app", ROOT / file)
        assert spec is not None
        assert spec.loader is not None
        app = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(app)
        note: Callable[[str], None] = app.note
        note("a-1")

        assert seen.of("a") == {"a-1": 1}
