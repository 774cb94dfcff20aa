"""
Any service of the company: one program for all of them, which learns from ECS which one it is.

At each request it asks all services that it depends on, one after the other, and answers with their answers; so a
request to ``web`` crosses the whole mesh. It asks over HTTP, a WebSocket, a gRPC stream or TCP, always its own Envoy on
loopback: the egress listener with the service's name as host, or a local port.

``PORT`` says where it listens, ``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) where its loopback is. With
``MESHCERT_REQUESTS_SEEN``, as the local AWS sets it, the ids of requests go into that pipe.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Event = dict[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

DEPENDS_ON = {
    "web": {"orders": "http", "catalog": "http", "users": "http", "live": "websocket", "quotes": "grpc"},
    "orders": {"payments": "http2", "users": "http", "mailer": "http", "store": "tcp"},
    "payments": {"ledger": "http"},
    "ledger": {"store": "tcp"},
    "catalog": {"search": "http2"},
}
"""What each service asks, and how; a service that is not here asks nobody."""
LOOPBACK = os.environ.get("MESHCERT_LOOPBACK_ADDRESS", "127.0.0.1")
EGRESS, STORE = 15001, 6379
"""Ports of the Envoy beside it: the egress listener, and the local port of the one tcp backend."""
NAMESPACE = "company.internal"
STREAMED = 3
"""Messages of a gRPC stream."""
MESSAGE = b"\0\0\0\0\0"
"""An empty gRPC message: not compressed, of length 0."""
TIMEOUT_S = 15.0
ID = "meshcert-request-id"
REQUESTS_SEEN = os.environ.get("MESHCERT_REQUESTS_SEEN", "")


def service() -> str:
    """The service of this task: its family is ``meshcert-MESH-SERVICE``."""
    with urlopen(f"{os.environ['ECS_CONTAINER_METADATA_URI_V4']}/task", timeout=TIMEOUT_S) as answer:
        return str(json.load(answer)["Family"]).rpartition("-")[2]


NAME = service()
HTTP, HTTP2 = (
    httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{EGRESS}", http1=not is_http2, http2=is_http2, timeout=TIMEOUT_S, trust_env=False
    )
    for is_http2 in (False, True)
)
"""Whatever their host, requests go to the egress listener, over connections that are kept."""


async def ask(name: str, way: str, request_id: str) -> str:
    """What another service says. Raises OSError, TimeoutError, or an error of its library."""
    if way == "websocket":
        async with connect(f"ws://{name}.{NAMESPACE}/", host=LOOPBACK, port=EGRESS, proxy=None) as session:
            await session.send(request_id)
            return str(await asyncio.wait_for(session.recv(), TIMEOUT_S))
    if way == "tcp":
        return await asyncio.wait_for(_ping(), TIMEOUT_S)
    headers = {"host": f"{name}.{NAMESPACE}", ID: request_id}
    if way != "grpc":
        client = HTTP if way == "http" else HTTP2
        return (await client.get("/", headers=headers)).raise_for_status().text
    headers |= {"content-type": "application/grpc", "te": "trailers"}
    answer = await HTTP2.post("/company.Quotes/Watch", headers=headers, content=MESSAGE)
    return f"{name}: {len(answer.content) // len(MESSAGE)} messages"


async def _ping() -> str:
    """What Redis says to a PING."""
    reader, writer = await asyncio.open_connection(LOOPBACK, STORE)
    try:
        writer.write(b"PING\r\n")
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer:
        raise ConnectionError("the store said nothing")
    return f"store: {answer.decode().strip()}"


async def application(scope: Event, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] == "websocket":
        await repeat(receive, send)
    elif scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        headers = dict(scope["headers"])
        request_id = headers.get(ID.encode(), b"").decode()
        note(request_id)
        if headers.get(b"content-type", b"").startswith(b"application/grpc"):
            await stream(send)
        else:
            await answer(request_id, send)


async def repeat(receive: Receive, send: Send) -> None:
    """Over a WebSocket: what comes goes back."""
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            note(event["text"])
            await send({"type": "websocket.send", "text": f"{NAME}: {event['text'].rpartition('/')[2]}"})


async def stream(send: Send) -> None:
    """Some messages of a gRPC stream, one after the other."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/grpc")],
            "trailers": True,
        }
    )
    for _ in range(STREAMED):
        await send({"type": "http.response.body", "body": MESSAGE, "more_body": True})
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b""})
    await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})


async def answer(request_id: str, send: Send) -> None:
    """Ask everybody on whom this service depends, and answer."""
    status, said = 200, []
    for name, way in DEPENDS_ON.get(NAME, {}).items():
        try:
            # The request that follows from this one has an id of its own.
            said.append(await ask(name, way, f"{request_id}/{name}"))
        except (OSError, TimeoutError, httpx.HTTPError, WebSocketException) as error:
            status = 502
            said.append(f"{name}: {error!r}")
    body = f"{NAME}({', '.join(said)})".encode()
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def note(request_id: str) -> None:
    """Tell whoever counts."""
    if not (REQUESTS_SEEN and request_id):
        return
    with suppress(OSError):
        pipe = os.open(REQUESTS_SEEN, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, request_id.encode() + b"\n")
        finally:
            os.close(pipe)


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    config = Config()
    config.bind = [f"{LOOPBACK}:{os.environ['PORT']}"]
    config.errorlog = None
    # A connection ends when Envoy ends it: after a number of requests, one under way would be lost.
    config.keep_alive_max_requests = 1 << 30
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await serve(application, config, shutdown_trigger=ended.wait)


if __name__ == "__main__":
    asyncio.run(main())
