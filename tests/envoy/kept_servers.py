"""Servers as they stand behind a proxy; each writes the ids of its requests, and keeps connections as it likes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

WORK_S = 0.05
"""What a request takes, so that those of one moment need a connection each."""
NODE = """
const [address, port, keepAliveMs] = process.argv.slice(1);
const server = require("http").createServer((request, response) => {
  console.log(request.headers["x-request"]);
  setTimeout(() => response.end("ok"), 50);
});
if (+keepAliveMs) server.keepAliveTimeout = +keepAliveMs;
server.listen(+port, address, 1000);
"""


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    """The application of gunicorn."""
    sys.stdout.write(f"{environ.get('HTTP_X_REQUEST')}\n")
    sys.stdout.flush()
    time.sleep(WORK_S)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """The application of uvicorn."""
    del receive
    sys.stdout.write(f"{dict(scope['headers']).get(b'x-request', b'').decode()}\n")
    sys.stdout.flush()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def _command(kind: str, address: str, port: int) -> list[str]:
    """Each as it is started mostly, with its own default for how long it keeps a connection."""
    name = __name__
    match kind:
        case "gunicorn":
            workers = ("--worker-class", "gthread", "--threads", "20", "--no-control-socket")
            return [sys.executable, "-m", "gunicorn", *workers, "--bind", f"{address}:{port}", f"{name}:wsgi"]
        case "uvicorn":
            where = ("--host", address, "--port", str(port))
            return [
                sys.executable,
                "-m",
                "uvicorn",
                *where,
                "--log-level",
                "warning",
                "--lifespan",
                "off",
                f"{name}:asgi",
            ]
        case _:
            keep_alive_ms = "2000" if kind == "node, 2 s" else "0"
            program = shutil.which("node") or pytest.fail("node is not on PATH: make setup installs it")
            return [program, "-e", NODE, address, str(port), keep_alive_ms]


@contextmanager
def server(kind: str, address: str, port: int, written: Path) -> Iterator[None]:
    """
    One that runs: ``gunicorn`` and ``node, 2 s`` keep an idle connection for 2 seconds, ``node`` and ``uvicorn`` for 5.

    Args:
        written: File that gets the ids of requests, from the header ``x-request``.
    """
    with written.open("wb") as output:
        # Some start others: all of them are ended.
        running = subprocess.Popen(
            _command(kind, address, port),
            stdout=output,
            cwd=Path(__file__).resolve().parents[2],
            start_new_session=True,
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
