"""Faults on purpose: throttling, errors, delays and broken connections in front of any API operation."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack import app as gateway

from local.aws import control, hooks

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from local.aws.config import Config
    from local.aws.control import Application, Receive, Scope, Send

KINDS = frozenset({"throttle", "500", "503", "latency", "hang", "cut", "bucket"})
_SEED = 7
_XML_SERVICES = frozenset({"iam", "sts", "elasticloadbalancing", "cloudformation", "sns", "monitoring", "ec2", "s3"})
_THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "sqs": "RequestThrottled",
    "ec2": "RequestLimitExceeded",
    "s3": "SlowDown",
    "lambda": "TooManyRequestsException",
}
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")


@dataclass
class Rule:
    """
    One fault.

    Args:
        kind: One of :data:`KINDS`.
        service: Signing name such as ``secretsmanager``, or ``*``.
        action: Operation such as ``GetSecretValue``, or ``*``.
        p: Probability that a request meets the fault.
        n: How many requests meet it at most; None for all.
        ms: Delay of ``latency`` in milliseconds.
        rate: Requests a second that a ``bucket`` lets through.
        burst: Requests that a full ``bucket`` lets through at once.
    """

    kind: str
    service: str = "*"
    action: str = "*"
    p: float = 1.0
    n: int | None = None
    ms: float = 200.0
    rate: float = 1.0
    burst: float = 1.0
    _tokens: float = field(default=-1.0, repr=False)
    _filled_at: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault {self.kind!r} is none of {sorted(KINDS)}")

    def strikes(self, service: str, action: str, chance: random.Random) -> bool:
        """Whether this request meets the fault; counts it if so."""
        if self.service not in {"*", service} or self.action not in {"*", action} or self.n == 0:
            return False
        if self.kind == "bucket":
            if self._take_token():
                return False
        elif chance.random() >= self.p:
            return False
        if self.n is not None:
            self.n -= 1
        return True

    def _take_token(self) -> bool:
        now = time.monotonic()
        level = self.burst if self._tokens < 0 else self._tokens + (now - self._filled_at) * self.rate
        self._tokens, self._filled_at = min(self.burst, level), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


_rules: list[Rule] = []
_hits: Counter[str] = Counter()
_chance = random.Random(_SEED)  # noqa: S311 - repeatable on purpose


def install(config: Config) -> None:
    """Put the faults in front of MiniStack's application; control endpoints stay free of them."""
    del config
    hooks.wrap(gateway, "app", _application)
    control.route("/_local/faults", _configure)
    control.at_reset(_rules.clear)


def _configure(value: Any) -> dict[str, Any]:
    """A list replaces the rules; anything else only asks. Answers with the hits since the last replacement."""
    if isinstance(value, list):
        _rules[:] = [Rule(**rule) for rule in value]
        _hits.clear()
        _chance.seed(_SEED)
    return {"rules": len(_rules), "hits": dict(_hits)}


def _application(inner: Application) -> Application:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _rules:
            await inner(scope, receive, send)
            return
        body = await control.read_body(receive)
        service, action = _operation(scope, body)
        rule = next((rule for rule in _rules if service and rule.strikes(service, action, _chance)), None)
        if rule:
            _hits[f"{service}:{action}:{rule.kind}"] += 1
            if not await _apply(rule, service, receive, send):
                return
        await inner(scope, _replay(body, receive), send)

    return serve


def _operation(scope: Scope, body: bytes) -> tuple[str, str]:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    signed = _SCOPE.search(headers.get("authorization", ""))
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    if not action:
        form = dict(urllib.parse.parse_qsl(body.decode("latin-1"))) if b"Action=" in body else {}
        action = form.get("Action") or f"{scope['method']} {scope['path']}"
    return (signed.group(1) if signed else ""), action


async def _apply(rule: Rule, service: str, receive: Receive, send: Send) -> bool:
    """Answer in place of the service; True if the request is to go on to it."""
    if rule.kind == "latency":
        await asyncio.sleep(rule.ms / 1000)
        return True
    if rule.kind == "hang":
        while (await receive())["type"] != "http.disconnect":
            pass
    elif rule.kind == "cut":
        # Without a length the answer is chunked, and a client notices that the last chunk never comes.
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
    else:
        status, code = {"500": (500, "InternalServiceError"), "503": (503, "ServiceUnavailable")}.get(
            rule.kind,
            (503 if service == "s3" else 400, _THROTTLED.get(service, "ThrottlingException")),
        )
        await _refuse(send, service, status, code)
    return False


async def _refuse(send: Send, service: str, status: int, code: str) -> None:
    message = "fault on purpose"
    if service in _XML_SERVICES:
        kind = b"text/xml"
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
    else:
        kind = b"application/x-amz-json-1.1"
        body = json.dumps({"__type": code, "message": message}).encode()
    headers = [(b"content-type", kind), (b"x-amzn-errortype", code.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _replay(body: bytes, receive: Receive) -> Callable[[], Any]:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return again
