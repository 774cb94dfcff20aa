"""
A stand-in for an application that is not here: answers HTTP/1.1, HTTP/2 and unary gRPC on one clear-text port.

It repeats the path, and the names in the caller's certificate as its Envoy hands them on. ``PORT`` and
``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) say where it listens. The ids of requests go into the pipe
``MESHCERT_REQUESTS_SEEN``, if it is set: the demo counts there that none comes twice.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Event = dict[str, Any]
REQUESTS_SEEN = os.environ.get("MESHCERT_REQUESTS_SEEN", "")
NO_MESSAGE = b"\0\0\0\0\0"
"""An empty gRPC message: not compressed, of length 0."""


async def answer(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """The ASGI application."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = dict(scope["headers"])
    if REQUESTS_SEEN and (request_id := headers.get(b"meshcert-request-id")):
        note(request_id)
    if headers.get(b"content-type", b"").startswith(b"application/grpc"):
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/grpc")]}
        await send(start | {"trailers": True})
        await send({"type": "http.response.body", "body": NO_MESSAGE})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})
        return
    names = re.findall(r"DNS=([^;,]+)", headers.get(b"x-forwarded-client-cert", b"").decode())
    body = f"{scope['path']}, asked by {' '.join(names) or 'nobody with a certificate'}\n".encode()
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def note(request_id: bytes) -> None:
    """Tell whoever counts."""
    with suppress(OSError):
        pipe = os.open(REQUESTS_SEEN, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, request_id + b"\n")
        finally:
            os.close(pipe)


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    config = Config()
    config.bind = [f"{os.environ.get('MESHCERT_LOOPBACK_ADDRESS', '127.0.0.1')}:{os.environ['PORT']}"]
    config.errorlog = None
    # A connection ends when Envoy ends it: after a number of requests, one under way would be lost.
    config.keep_alive_max_requests = 1 << 30
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await serve(answer, config, shutdown_trigger=ended.wait)


if __name__ == "__main__":
    asyncio.run(main())
