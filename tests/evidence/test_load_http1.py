"""Failures as the load client counts them in HTTP/1.1."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from evidence.load.http1 import Http1Client
from evidence.load.loads import Connection, Load, Protocol
from evidence.load.tally import Failure, RequestFailed, Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n/http1/%d"
GOODBYE = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n/http1/%d"


async def _ask(answers: list[list[bytes]], questions: int, *, let_it_close: bool = False) -> Tally:
    """Ask a server that has these answers on its first connection, its second and so on, and then closes it."""
    connections = iter(answers)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in next(connections):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        if not let_it_close:
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        tally = Tally()
        client = Http1Client(_load(server.sockets[0].getsockname()[1]), tally)
        try:
            for number in range(questions):
                await client.ask(str(number))
                if let_it_close:
                    await _until(lambda: client._line is None or client._line.ended)
        finally:
            await client.close()
    return tally


async def _until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not claim():  # noqa: ASYNC110 -- nobody sets an event when a connection has ended
            await asyncio.sleep(0.001)


def _load(port: int) -> Load:
    return Load(Protocol.HTTP1, Connection.KEPT, "127.0.0.1", port)


def _failure(asking: Awaitable[object]) -> Failure:
    async def ask() -> None:
        await asking

    with pytest.raises(RequestFailed) as caught:
        asyncio.run(ask())
    return caught.value.failure


def test_a_connection_is_kept_as_long_as_the_server_keeps_it() -> None:
    """Three questions, one connection."""
    tally = asyncio.run(_ask([[RIGHT % 0, RIGHT % 1, RIGHT % 2]], 3))

    assert tally.connections == 1


def test_an_answer_that_ends_its_connection_is_no_failure() -> None:
    """``Connection: close``: the next question has a connection of its own."""
    tally = asyncio.run(_ask([[GOODBYE % 0], [GOODBYE % 1]], 2))

    assert tally.connections == 2


def test_a_connection_closed_before_the_question_is_no_failure() -> None:
    """Nothing was sent on it, so nothing is lost."""
    tally = asyncio.run(_ask([[RIGHT % 0], [RIGHT % 1]], 2, let_it_close=True))

    assert tally.connections == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", Failure.RESET),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n/htt", Failure.RESET),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Failure.STATUS),
        (RIGHT % 7, Failure.PROTOCOL),
        (b"nonsense\r\n\r\n", Failure.PROTOCOL),
    ],
    ids=["no answer", "half an answer", "another status", "the answer to another question", "no HTTP"],
)
def test_what_is_no_right_answer_has_failed(answer: bytes, expected: Failure) -> None:
    """Each with its own kind."""
    assert _failure(_ask([[answer]], 1)) == expected


def test_a_server_that_is_not_there_is_a_failure() -> None:
    """Port 1 of the loopback address."""
    assert _failure(Http1Client(_load(1), Tally()).ask("0")) == Failure.CONNECT
