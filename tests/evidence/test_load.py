"""The load client against its own application, and how it counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from evidence.load.application import serve
from evidence.load.loads import Connection, Load, Protocol
from evidence.load.processes import Application, ChildEnded, LoadClient
from evidence.load.tally import Failure
from evidence.load.workers import Workers
from local.requests_seen import requests_seen

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.load.tally import LoadReport
    from local.requests_seen import RequestsSeen

EVERY_LOAD = [(protocol, connection) for protocol in Protocol for connection in Connection]


async def _load_for(seconds: float, port: int, *, timeout_s: float = 5.0) -> dict[str, LoadReport]:
    loads = [Load(*kind, "127.0.0.1", port, timeout_s=timeout_s) for kind in EVERY_LOAD]
    until, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(Workers(loads).run(until, ready.set))
    async with asyncio.timeout(10):
        await (ready.wait() if seconds == 0 else asyncio.sleep(seconds))
    until.set()
    return await running


def test_every_load_is_answered_by_the_application() -> None:
    """In every protocol, on kept and on new connections."""

    async def load() -> dict[str, LoadReport]:
        async with await serve("127.0.0.1", 0) as server:
            return await _load_for(0, server.sockets[0].getsockname()[1])

    reports = asyncio.run(load())

    assert set(reports) == {"http1-kept", "http1-new", "http2-kept", "http2-new", "grpc-kept", "grpc-new"}
    assert all(report.requests > 0 == report.failed for report in reports.values())
    assert reports["http1-kept"].connections == 2
    assert reports["http2-kept"].connections == reports["grpc-kept"].connections == 1
    assert all(report.connections == report.requests for name, report in reports.items() if name.endswith("-new"))


def test_a_server_that_says_nothing_is_a_failure_of_every_load() -> None:
    """It takes the connection and the question."""

    async def load() -> dict[str, LoadReport]:
        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
            return await _load_for(0.1, server.sockets[0].getsockname()[1], timeout_s=0.05)

    reports = asyncio.run(load())

    assert {name for name, report in reports.items() if set(report.failures) == {Failure.TIMEOUT}} == set(reports)
    assert all(report.failed == report.requests > 0 for report in reports.values())


def test_a_request_that_comes_to_the_application_twice_is_a_failure_of_its_load(tmp_path: Path) -> None:
    """Whatever lies between sends the third request again, and nobody would notice."""

    async def load(seen: RequestsSeen) -> LoadReport:
        arrived, conversations = asyncio.Event(), set[asyncio.Task[None] | None]()

        async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            conversations.add(asyncio.current_task())
            behind, onwards = await asyncio.open_connection("127.0.0.1", application.sockets[0].getsockname()[1])
            number = 0
            while question := await reader.read(1000):
                for _ in range(2 if number == 2 else 1):
                    onwards.write(question)
                    answer = await behind.read(1000)
                writer.write(answer)
                number += 1
                if number > 5:
                    arrived.set()
            onwards.write_eof()
            assert await behind.read() == b""
            for each in (onwards, writer):
                each.close()
                await each.wait_closed()

        async with (
            await serve("127.0.0.1", 0, seen.path) as application,
            await asyncio.start_server(repeat, "127.0.0.1", 0) as between,
        ):
            port = between.sockets[0].getsockname()[1]
            workers = Workers([Load(Protocol.HTTP1, Connection.KEPT, "127.0.0.1", port, workers=1)], seen)
            until = asyncio.Event()
            running = asyncio.create_task(workers.run(until, int))
            async with asyncio.timeout(10):
                await arrived.wait()
                until.set()
                report = (await running)["http1-kept"]
                await asyncio.gather(*(each for each in conversations if each))
            return report

    with requests_seen(tmp_path / "seen") as seen:
        report = asyncio.run(load(seen))

    assert report.failures == {Failure.TWICE: 1}
    assert report.twice == report.failed == 1
    assert report.counted == report.requests
    assert all("came to the application 2 times" in told for told in report.details)


def test_a_load_has_settled_when_what_was_under_way_is_answered() -> None:
    """Not before; what is asked meanwhile does not count."""

    async def load() -> tuple[bool, int]:
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = 0
            while question := await reader.read(1000):
                if number == 0:
                    asked.set()
                    await may_answer.wait()
                path = question.split()[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
                number += 1
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            workers = Workers([Load(Protocol.HTTP1, Connection.KEPT, "127.0.0.1", port, workers=1)])
            until = asyncio.Event()
            running = asyncio.create_task(workers.run(until, int))
            await asked.wait()
            settling = asyncio.create_task(workers.settle())
            await asyncio.sleep(0.02)
            too_early = settling.done()
            may_answer.set()
            async with asyncio.timeout(5):
                await settling
            until.set()
            return too_early, (await running)["http1-kept"].failed

    assert asyncio.run(load()) == (False, 0)


def test_as_processes_they_end_with_their_input() -> None:
    """The report of the child is the report of the load."""
    with Application("127.0.0.1", _free_port()) as application:
        application.wait_until_ready()
        address, port = application._arguments[1], int(application._arguments[2])
        with LoadClient(
            [Load(Protocol.GRPC, Connection.KEPT, address, port, pause_s=0.01)], application.seen
        ) as client:
            client.wait_until_ready()
            client.settle()
            reports = client.end()

    assert reports["grpc-kept"].requests >= 1
    assert reports["grpc-kept"].failed == 0
    assert reports["grpc-kept"].counted == reports["grpc-kept"].requests


def test_a_child_that_cannot_do_its_work_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """Another one listens there already, say; why, it says on the standard error."""
    with Application("127.0.0.1", 70_000) as application, pytest.raises(ChildEnded, match="application 127"):
        application.wait_until_ready()

    assert "port must be 0-65535" in capfd.readouterr().err


def _free_port() -> int:
    import socket  # noqa: PLC0415 -- of this function only

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
