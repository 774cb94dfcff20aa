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

    from local.aws.operations import Exchange, Onward, Request
    from local.aws.per_account import PerAccount

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
        """True if this request meets the fault; it then counts towards ``n``."""
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


class Faults:
    """The faults in force in one account, and how often each was met."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._hits: Counter[str] = Counter()
        self._chance = random.Random(_SEED)

    def __bool__(self) -> bool:
        """True if there are any."""
        return bool(self._rules)

    def replace(self, rules: list[Rule]) -> None:
        """Put ``rules`` in force, and count from zero."""
        self._rules = rules
        self._hits.clear()
        self._chance.seed(_SEED)

    def first_to_strike(self, request: Request) -> Rule | None:
        """The rule that this request meets, or None."""
        return next((rule for rule in self._rules if rule.strikes(request, self._chance)), None)

    def count(self, rule: Rule, request: Request) -> None:
        """Note that ``request`` has met ``rule``."""
        self._hits[f"{request.service}:{request.action}:{rule.kind}"] += 1

    def report(self) -> dict[str, Any]:
        """The number of rules, and the hits since they were put in force by ``service:Action:kind``."""
        return {"rules": len(self._rules), "hits": dict(self._hits)}


def install(faults: PerAccount[Faults], killed_functions: PerAccount[set[str]]) -> None:
    """
    Serve ``/_local/faults`` and stand in front of every service.

    Args:
        killed_functions: Gets the functions that a fault kills.
    """

    def configure(value: Any) -> dict[str, Any]:
        """A list replaces the rules; anything else only asks."""
        current = faults.current
        if isinstance(value, list):
            current.replace([Rule(**rule) for rule in value])
        return current.report()

    async def strike(exchange: Exchange, onward: Onward) -> None:
        account = exchange.request.account
        await _strike(faults[account], killed_functions[account], exchange, onward)

    control.route("/_local/faults", configure)
    operations.guard(lambda: any(faults.values()), strike)


async def _strike(faults: Faults, killed_functions: set[str], exchange: Exchange, onward: Onward) -> None:
    request = exchange.request
    rule = faults.first_to_strike(request)
    if rule is None:
        await onward()
        return
    if rule.kind == "kill":
        await _crash(rule, killed_functions, exchange, onward)
        faults.count(rule, request)
        await exchange.gone()
        return
    faults.count(rule, request)
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


async def _crash(rule: Rule, killed_functions: set[str], exchange: Exchange, onward: Onward) -> None:
    """
    End the process that asks, before or after the service has done it.

    Raises:
        RuntimeError: If no function's process asks; a test that believes in its crash would prove nothing.
    """
    if rule.when == "after":
        exchange.send = _discard
        await onward()
    if not await asyncio.to_thread(crashes.kill, killed_functions, exchange.request):
        raise RuntimeError(f"nothing to kill: {exchange.request.role} is not the role of a running function")


async def _discard(_message: MutableMapping[str, Any]) -> None:
    """Swallow the answer: the process that asked has been killed."""
