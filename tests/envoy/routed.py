"""One Envoy with a listener for each of many sets of routes, and the nodes behind it: who gets which request."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import subprocess
from collections import Counter
from contextlib import ExitStack, suppress
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Self

import pytest

from evidence.fixtures.container import eventually
from evidence.fixtures.proxies import gateway
from meshcert.contract.container import ADMIN_PORT
from meshcert.envoy import Addresses, bootstrap
from meshcert.proxy import Backend, Listener, ListenerTls, TlsMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from meshcert.proxy import Route

FIRST_PORT = 10_000
NODE_PORT = 20_000
CONNECTIONS = 50
PIPELINED = 20
"""Requests on one connection, without waiting for their answers."""


class Answer(NamedTuple):
    """
    What came back, and what a node got.

    Args:
        node: Who answered; empty if it was Envoy.
        path: As the node got it, with the query.
        host: As the node got it.
    """

    status: int
    node: str = ""
    path: str = ""
    host: str = ""


class Nodes:
    """
    Applications that say what they got; use it as a context.

    A request's ``x-do`` says otherwise: ``500`` answers with this status, ``reset`` ends the connection, ``wait`` never
    answers, ``grpc-14`` answers with this gRPC status. ``x-id`` counts requests.
    """

    def __init__(self, address: str, names: Sequence[str]) -> None:
        self.ports = {name: NODE_PORT + number for number, name in enumerate(names)}
        self.seen: Counter[str] = Counter()
        self._names = {port: name for name, port in self.ports.items()}
        self._address = address
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._servers = [
            await asyncio.start_server(self._serve, self._address, port, backlog=512) for port in self.ports.values()
        ]

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        serving = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = self._names[writer.get_extra_info("sockname")[1]]
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = {key.lower(): value for key, _, value in (line.partition(": ") for line in head[1:])}
                await reader.readexactly(int(fields.get("content-length", 0)))
                self.seen[fields.get("x-id", "")] += 1
                do = fields.get("x-do", "")
                if do == "reset":
                    return
                if do == "wait":
                    continue
                body = json.dumps([name, head[0].split()[1], fields.get("host", "")])
                status = do if do.isdecimal() else "200"
                lines = [f"HTTP/1.1 {status} As asked", f"Content-Length: {len(body)}"]
                if do.startswith("grpc-"):
                    lines.append(do.replace("grpc-", "grpc-status: "))
                writer.write("\r\n".join([*lines, "", body]).encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class Routed:
    """
    The Envoy; use it as a context.

    Args:
        envoy: The program.
        folder: For its configuration.
        address: On which it and the nodes listen.
        tables: Routes by a name of one's own.
    """

    def __init__(self, envoy: Path, folder: Path, address: str, tables: Mapping[str, Sequence[Route]]) -> None:
        self._address = address
        self._ports = {name: FIRST_PORT + number for number, name in enumerate(tables)}
        names = dict.fromkeys(share.backend for routes in tables.values() for route in routes for share in route.shares)
        self.nodes = Nodes(address, list(names))
        merged = gateway(
            listeners=tuple(Listener(port, "http", ListenerTls(TlsMode.DISABLED)) for port in self._ports.values()),
            identities={},
            trust_bundles={},
            backends=tuple(Backend(name, address, port, "http") for name, port in self.nodes.ports.items()),
            routes=tuple(
                route._replace(conditions=route.conditions._replace(port=self._ports[name]))
                for name, routes in tables.items()
                for route in routes
            ),
        )
        addresses = Addresses(str(folder), address, address)
        self._file = folder / "envoy.json"
        self._file.write_text(json.dumps(bootstrap(merged, addresses)))
        self._envoy = envoy
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(self.nodes)
        command = [str(self._envoy), "-c", str(self._file), "--use-dynamic-base-id", "--concurrency", "1"]
        process = self._open.enter_context(subprocess.Popen([*command, "--log-level", "error"]))
        self._open.callback(process.kill)
        eventually(lambda: process.poll() is not None or self._is_live(), "Envoy is live", 60)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def ask(self, table: str, path: str, fields: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        """The answer to a request at the listener of a set of routes."""
        connection = http.client.HTTPConnection(self._address, self._ports[table], timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"host": "client.example", **(fields or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        return Answer(response.status, *json.loads(body)) if body.startswith(b"[") else Answer(response.status)

    def ask_many(self, table: str, path: str, times: int) -> dict[str, int]:
        """How many of so many requests each node got."""
        request = f"GET {path} HTTP/1.1\r\nHost: client.example\r\n\r\n".encode()
        seen: Counter[str] = Counter()
        with ExitStack() as opened:
            connections = [
                opened.enter_context(socket.create_connection((self._address, self._ports[table]), 30))
                for _ in range(CONNECTIONS)
            ]
            for _ in range(times // CONNECTIONS // PIPELINED):
                for connection in connections:
                    connection.sendall(request * PIPELINED)
                for connection in connections:
                    seen.update(self._nodes_in(connection))
        return dict(seen)

    @staticmethod
    def _nodes_in(connection: socket.socket) -> list[str]:
        answers = b""
        while answers.count(b'["') < PIPELINED or not answers.endswith(b"]"):
            answers += connection.recv(65_536) or pytest.fail("Envoy ended the connection")
        return re.findall(r'\["(\w+)"', answers.decode())

    def counter(self, name: str) -> int:
        """One of Envoy's counters."""
        connection = http.client.HTTPConnection(self._address, ADMIN_PORT, timeout=30)
        connection.request("GET", f"/stats?filter=^{name}$&format=json")
        stats = json.loads(connection.getresponse().read())["stats"]
        connection.close()
        return next((int(each["value"]) for each in stats if each.get("name") == name), 0)

    def _is_live(self) -> bool:
        try:
            return self.counter("server.live") == 1
        except (OSError, ValueError, http.client.HTTPException):
            return False
