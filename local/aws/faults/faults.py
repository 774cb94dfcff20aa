"""Faults on purpose: throttling, errors, delays, broken connections and crashes at any API operation."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.aws import control, operations
from local.aws.faults import crashes
from local.aws.faults.buckets import TokenBucket

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from local.aws.config import Config
    from local.aws.operations import Exchange, Onward, Request

KINDS = frozenset({"throttle", "500", "503", "latency", "hang", "cut", "bucket", "kill"})
WHEN = frozenset({"before", "after"})
_SEED = 7


@dataclass
class Rule:
    """
    One fault. A request meets the first rule that strikes.

    Args:
        kind: One of :data:`KINDS`.
        service: Signing name such as ``secretsmanager``, or ``*``.
        action: Operation such as ``GetSecretValue``, or ``*``.
        role: Name of the role whose session signs the request (``root`` for the administrator), ``ROLE/FUNCTION`` where
            functions share a role, or ``*``.
        resource: Text that the request's path or body contains; empty for any. A whole ARN or a name in its quotes
            tells ``"teller"`` from ``"colorteller"``.
        p: Probability that a request meets the fault.
        at: Number of the first matching request that may meet it, from 1.
        n: How many requests meet it at most; None for all, of ``kill`` for one.
        ms: Delay of ``latency`` in milliseconds.
        rate: Requests a second that a ``bucket`` lets through.
        burst: Requests that a full ``bucket`` lets through at once.
        when: Of ``kill``: ``before`` the service sees the request, or ``after`` it has carried it out.
    """

    kind: str
    service: str = "*"
    action: str = "*"
    role: str = "*"
    resource: str = ""
    p: float = 1.0
    at: int = 1
    n: int | None = None
    ms: float = 200.0
    rate: float = 1.0
    burst: float = 1.0
    when: str = "before"
    _seen: int = field(default=0, init=False, repr=False)
    _bucket: TokenBucket = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault {self.kind!r} is none of {sorted(KINDS)}")
        if self.when not in WHEN:
            raise ValueError(f"when {self.when!r} is none of {sorted(WHEN)}")
        if self.kind == "kill" and self.n is None:
            self.n = 1
        self._bucket = TokenBucket(self.rate, self.burst)

    def strikes(self, request: Request, chance: random.Random) -> bool:
        """Whether this request meets the fault; counts it if so."""
        if not self._matches(request) or self.n == 0:
            return False
        self._seen += 1
        if self._seen < self.at:
            return False
        spared = self._bucket.take() if self.kind == "bucket" else chance.random() >= self.p
        if spared:
            return False
        if self.n is not None:
            self.n -= 1
        return True

    def _matches(self, request: Request) -> bool:
        return (
            self.service in {"*", request.service}
            and self.action in {"*", request.action}
            and request.is_signed_by(self.role)
            and self.resource in request.text
        )


_rules: list[Rule] = []
_hits: Counter[str] = Counter()
_chance = random.Random(_SEED)


def install(config: Config) -> None:
    """Serve ``/_local/faults`` and stand in front of every service."""
    del config
    control.route("/_local/faults", _configure)
    control.at_reset(_rules.clear)
    operations.guard(lambda: bool(_rules), _strike)


def _configure(value: Any) -> dict[str, Any]:
    """A list replaces the rules; anything else only asks. Answers with the hits since the last replacement."""
    if isinstance(value, list):
        _rules[:] = [Rule(**rule) for rule in value]
        _hits.clear()
        _chance.seed(_SEED)
    return {"rules": len(_rules), "hits": dict(_hits)}


async def _strike(exchange: Exchange, onward: Onward) -> None:
    request = exchange.request
    rule = next((rule for rule in _rules if rule.strikes(request, _chance)), None)
    if rule is None:
        await onward()
        return
    if rule.kind == "kill":
        await _crash(rule, exchange, onward)
        return
    _hits[_name(rule, request)] += 1
    if rule.kind == "latency":
        await asyncio.sleep(rule.ms / 1000)
        await onward()
    elif rule.kind == "hang":
        await exchange.gone()
    elif rule.kind == "cut":
        # Without a length the answer is chunked, and a client notices that the last chunk never comes.
        await exchange.send({"type": "http.response.start", "status": 200, "headers": []})
        await exchange.send({"type": "http.response.body", "body": b"{", "more_body": True})
    elif rule.kind in {"500", "503"}:
        code = {"500": "InternalServiceError", "503": "ServiceUnavailable"}[rule.kind]
        await exchange.refuse(int(rule.kind), code, "fault on purpose")
    else:
        await exchange.throttle("fault on purpose")


async def _crash(rule: Rule, exchange: Exchange, onward: Onward) -> None:
    """
    End the process that asks, before or after the service has done it.

    Raises:
        RuntimeError: If no function's process asks; a test that believes in its crash would prove nothing.
    """
    if rule.when == "after":
        exchange.send = _discard
        await onward()
    if not await asyncio.to_thread(crashes.kill, exchange.request):
        raise RuntimeError(f"nothing to kill: {exchange.request.role} is not the role of a running function")
    _hits[_name(rule, exchange.request)] += 1
    await exchange.gone()


def _name(rule: Rule, request: Request) -> str:
    return f"{request.service}:{request.action}:{rule.kind}"


async def _discard(_message: MutableMapping[str, Any]) -> None:
    """Where an answer goes that nobody will read."""
