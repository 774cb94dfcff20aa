"""Closed loops of workers that ask until they are told to stop."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

from evidence.load.http1 import Http1Client
from evidence.load.http2 import Http2Client
from evidence.load.loads import Connection
from evidence.load.loads import Protocol as Spoken
from evidence.load.tally import Failure, RequestFailed, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evidence.load.loads import Load
    from evidence.load.tally import LoadReport
    from local.requests_seen import RequestsSeen

_AFTER_FAILURE_S = 0.01
"""Least pause after a failure: a server that is down is not to be asked in a tight loop."""


class Client(Protocol):
    """A worker's way to ask, in one protocol."""

    async def ask(self, question: str) -> None:
        """Send a request and check its answer; raises RequestFailed."""

    def forget(self) -> None:
        """Give up on the last question: its answer did not come in time."""

    async def close(self) -> None:
        """End."""


class _Running(NamedTuple):
    load: Load
    tally: Tally
    clients: list[Client]
    first_answer: asyncio.Event


class Workers:
    """
    All workers of some loads.

    Args:
        loads: All at the same time; each has its own name.
        seen: What came to the application; None if nobody counts there.
    """

    def __init__(self, loads: Sequence[Load], seen: RequestsSeen | None = None) -> None:
        self._seen = seen
        self._running = [_prepared(load) for load in loads]
        self._under_way: set[asyncio.Event] = set()

    async def run(self, until: asyncio.Event, on_ready: Callable[[], object]) -> dict[str, LoadReport]:
        """
        Ask until the end; what is under way then is still answered.

        Args:
            until: Set to end.
            on_ready: Called when every load has had an answer.

        Returns:
            Each load's figures, by its name.
        """
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for one in self._running:
                questions = (str(number) for number in count())
                for worker in range(one.load.workers):
                    group.create_task(self._work(one, one.clients[worker % len(one.clients)], questions, until))
            ready = group.create_task(self._ready(on_ready))
            await until.wait()
            ready.cancel()
        took_s = time.perf_counter() - began
        for one in self._running:
            for client in one.clients:
                await client.close()
        return {one.load.name: one.tally.report(took_s, self._seen) for one in self._running}

    async def settle(self) -> None:
        """Return when every request that is under way now has been answered, or has failed."""
        for done in list(self._under_way):
            await done.wait()

    async def _ready(self, on_ready: Callable[[], object]) -> None:
        for one in self._running:
            await one.first_answer.wait()
        on_ready()

    async def _work(self, one: _Running, client: Client, questions: Iterator[str], until: asyncio.Event) -> None:
        while not until.is_set():
            done = asyncio.Event()
            self._under_way.add(done)
            failed = not await _ask(one, client, next(questions))
            self._under_way.remove(done)
            done.set()
            if self._seen is not None:
                self._seen.read()
            await asyncio.sleep(max(one.load.pause_s, _AFTER_FAILURE_S) if failed else one.load.pause_s)


async def _ask(one: _Running, client: Client, question: str) -> bool:
    """Ask once and count what becomes of it; whether there was an answer."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(one.load.timeout_s):
            await client.ask(question)
    except TimeoutError:
        client.forget()
        one.tally.fail(RequestFailed(Failure.TIMEOUT, f"no answer within {one.load.timeout_s:g} s"))
        return False
    except RequestFailed as error:
        one.tally.fail(error)
        return False
    one.tally.answer(time.perf_counter() - began)
    one.first_answer.set()
    return True


def _prepared(load: Load) -> _Running:
    tally = Tally()
    shared = load.protocol is not Spoken.HTTP1 and load.connection is Connection.KEPT
    kind = Http1Client if load.protocol is Spoken.HTTP1 else Http2Client
    return _Running(load, tally, [kind(load, tally) for _ in range(1 if shared else load.workers)], asyncio.Event())
