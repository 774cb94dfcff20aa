"""
The local AWS's own endpoints (``/_local/...``), and its moments: a reset, and the end.

Control endpoints speak JSON over HTTP on the API's port without a signature. They exist for what no AWS API offers: a
day passing at ACM, faults, the log of evaluated requests. They act on the configured account, or on the one that
``?account=`` names.
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import responses

from local.aws import hooks

if TYPE_CHECKING:
    from local.aws.config import Config

logger = logging.getLogger(__name__)

Handler = Callable[[Any], Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/_local/"

_routes: dict[str, Handler] = {}
_at_reset: list[Callable[[], None]] = []
_at_stop: list[Callable[[], None]] = []


def route(path: str, handler: Handler) -> None:
    """
    Answer requests for ``path`` with what ``handler`` returns.

    The handler gets the request's JSON body (``{}`` when there is none), whatever the method. It runs on a worker
    thread with the configured region and an account in force. ValueError and KeyError become status 400, the rest 500.

    Args:
        path: Begins with ``/_local/``.
        handler: Returns something that JSON can express.
    """
    _routes[path] = handler


def at_reset(callback: Callable[[], None]) -> None:
    """Call ``callback`` whenever all state is wiped (``POST /_ministack/reset``), after MiniStack's own wipe."""
    _at_reset.append(callback)


def at_stop(callback: Callable[[], None]) -> None:
    """Call ``callback`` once when the local AWS ends, before its directory is removed; failures are logged."""
    _at_stop.append(callback)


def stop() -> None:
    """Run what :func:`at_stop` collected, the latest first."""
    while _at_stop:
        callback = _at_stop.pop()
        try:
            callback()
        except Exception:
            logger.exception("stopping: %r failed", callback)


def install(config: Config) -> None:
    """
    Serve the control endpoints in front of MiniStack's application.

    The application also learns here that loopback counts as a secure transport: the CDK's bootstrap bucket denies
    ``aws:SecureTransport: false``, and there is no TLS between a process and itself.
    """
    hooks.wrap(gateway, "app", lambda inner: _application(inner, config))
    hooks.wrap(gateway, "_reset_all_state", _reset_everything)


def _reset_everything(inner: Callable[[], None]) -> Callable[[], None]:
    def reset() -> None:
        inner()
        for callback in _at_reset:
            callback()

    return reset


def _application(inner: Application, config: Config) -> Application:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            asked = dict(urllib.parse.parse_qsl(scope.get("query_string", b"").decode("latin-1")))
            place = (asked.get("account") or config.account, config.region)
            await _answer(scope["path"], await read_body(receive), send, place)
            return
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
        await inner(scope, receive, send)

    return serve


async def read_body(receive: Receive) -> bytes:
    """The whole body of the request that ``receive`` delivers."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body", False))
    return body


async def respond(send: Send, status: int, value: Any) -> None:
    """Send ``value`` as a JSON response."""
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]},
    )
    await send({"type": "http.response.body", "body": json.dumps(value, default=str).encode()})


async def _answer(path: str, body: bytes, send: Send, place: tuple[str, str]) -> None:
    handler = _routes.get(path)
    if handler is None:
        await respond(send, 404, {"error": f"no control endpoint {path}; there are {sorted(_routes)}"})
        return
    try:
        value = await asyncio.to_thread(_run, handler, json.loads(body or b"{}"), place)
    except (ValueError, KeyError) as error:
        await respond(send, 400, {"error": f"{path}: {error!r}"})
    except Exception as error:
        logger.exception("%s failed", path)
        await respond(send, 500, {"error": f"{path}: {error!r}"})
    else:
        await respond(send, 200, value)


def _run(handler: Handler, value: Any, place: tuple[str, str]) -> Any:
    with responses.request_scope(*place):
        return handler(value)
