"""Tasks that come and go behind a real caller's Envoy, and clients that ask it all the time."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from local.requests_seen import HEADER, RequestIds
from meshcert.contract.stopping import DRAIN_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.registrations import Registrations

PORT = 9080
_CLIENT_WAITS_S = 20.0
_PAUSE_S = 0.02
_HEAD_ENDS = b"\r\n\r\n"
_ID_BEGINS = f"\r\n{HEADER}: ".encode()


class Task:
    """
    One task: an HTTP/1.1 server that counts its requests, and says goodbye while it drains.

    Args:
        address: Where it listens.
        seen: Counts, for all tasks of a service, how often each request came.
    """

    def __init__(self, address: str, seen: Counter[bytes]) -> None:
        self.address = address
        self._seen = seen
        self.requests = 0
        self._draining = False
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, self.address, PORT, backlog=256)

    async def drain(self) -> None:
        """Go on accepting as a stopping task does, and end."""
        self._draining = True
        await asyncio.sleep(DRAIN_S)
        self.crash()

    def crash(self) -> None:
        """End at once, in the middle of whatever it does."""
        if self._server:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = await reader.readuntil(_HEAD_ENDS)
                self.requests += 1
                self._seen[head.partition(_ID_BEGINS)[2].partition(b"\r\n")[0]] += 1
                goodbye = b"connection: close\r\n" if self._draining else b""
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + goodbye + b"\r\nok")
                await writer.drain()
                if goodbye:
                    break
        self._open.discard(writer)
        writer.close()


class Service:
    """
    A service's tasks, as they stand in Cloud Map.

    Args:
        name: Of the service; clients ask for ``/NAME``.
        registrations: The Cloud Map of the callers.
        new_address: Returns an address that nobody used before.
    """

    def __init__(self, name: str, registrations: Registrations, new_address: Callable[[], str]) -> None:
        self.name = name
        self.tasks: list[Task] = []
        self.ended: list[Task] = []
        self.seen: Counter[bytes] = Counter()
        """How often each request came to a task."""
        self._registrations = registrations
        self._new_address = new_address
        self._draining: set[asyncio.Task[None]] = set()

    def create(self) -> None:
        """Make it known to Cloud Map, with the tasks that there are."""
        self._registrations.tasks[self.name] = [task.address for task in self.tasks]

    async def start(self, count: int = 1) -> None:
        """Start tasks, and register them."""
        for _ in range(count):
            task = Task(self._new_address(), self.seen)
            await task.start()
            self.tasks.append(task)
        self.create()

    def stop(self, count: int = 1) -> None:
        """Stop the oldest tasks as Amazon ECS does: out of Cloud Map and SIGTERM at one moment."""
        for _ in range(count):
            task = self._take_out()
            draining = asyncio.create_task(task.drain())
            self._draining.add(draining)
            draining.add_done_callback(self._draining.discard)
        self.create()

    async def crash(self, noticed_after_s: float) -> None:
        """Lose the oldest task without a word; Cloud Map names it for a while."""
        task = self._take_out()
        task.crash()
        await asyncio.sleep(noticed_after_s)
        self.create()

    def end(self) -> None:
        """End everything at once."""
        for task in (*self.tasks, *self.ended):
            task.crash()

    def _take_out(self) -> Task:
        task = self.tasks.pop(0)
        self.ended.append(task)
        return task


class Clients:
    """
    Clients of one caller, each with a kept connection, asking one request after the other.

    Args:
        address: The caller's.
        path: What they ask for.
        count: Their number.
    """

    def __init__(self, address: str, path: str, count: int) -> None:
        self.answers: Counter[str] = Counter()
        """Number of requests by status, or by the error's name."""
        self._address, self._path, self._count = address, path, count
        self._ids = RequestIds()
        self._asking: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Begin to ask."""
        self._asking = [asyncio.create_task(self._ask()) for _ in range(self._count)]

    async def stop(self) -> None:
        """End after the requests that are open now."""
        # Not cancelled: Python 3.11's wait_for may swallow that.
        self._stopping = True
        await asyncio.gather(*self._asking)

    @property
    def requests(self) -> int:
        """All requests with an answer, or an error."""
        return sum(self.answers.values())

    @property
    def failed(self) -> int:
        """Those without the answer 200."""
        return self.requests - self.answers["200"]

    async def _ask(self) -> None:
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection(self._address, PORT)
            except OSError as error:
                self._note(type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
                continue
            try:
                await self._ask_on(reader, writer)
            finally:
                writer.close()

    async def _ask_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep = True
        while keep:
            try:
                request_id = f"{HEADER}: {self._ids.next()}"
                writer.write(f"GET {self._path} HTTP/1.1\r\nhost: mesh\r\n{request_id}\r\n\r\n".encode())
                head = await asyncio.wait_for(reader.readuntil(_HEAD_ENDS), _CLIENT_WAITS_S)
                length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
            except (OSError, EOFError, TimeoutError, StopIteration) as error:
                self._note(type(error).__name__)
                return
            self._note(head[9:12].decode())
            keep = b"connection: close" not in head.lower() and not self._stopping
            await asyncio.sleep(_PAUSE_S)

    def _note(self, answer: str) -> None:
        self.answers[answer] += 1
