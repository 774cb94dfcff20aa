"""A resolver between callers and the zones: what it was told, a denial too, it repeats until the TTL is over."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dnslib import QTYPE, RCODE, RR
from dnslib.server import BaseResolver

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT_CODES = (RCODE.NOERROR, RCODE.NXDOMAIN)
_EVERY_TYPE = QTYPE.ANY


@dataclass(frozen=True)
class _Answer:
    code: int
    records: list[RR]
    authority: list[RR]
    kept_at: float

    @property
    def lifetime_s(self) -> float:
        return float(min((record.ttl for record in (*self.records, *self.authority)), default=0))


class ResolverCache(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """
    Caches as RFC 2308 has it: a denied name for all types, an empty answer for its type, a failure not at all.

    One caller's early question is therefore every caller's later answer, as with the resolver of a VPC.

    Args:
        zones: Answers what is not known here.
        clock: Seconds.
    """

    def __init__(self, zones: BaseResolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._zones = zones
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, int], _Answer] = {}

    def resolve(self, request: Any, handler: object) -> Any:
        """The reply to one query."""
        name, kind = str(request.q.qname).lower(), int(request.q.qtype)
        with self._lock:
            kept = self._known(name, kind)
        if kept is not None:
            return self._repeat(request, kept)
        reply = self._zones.resolve(request, handler)
        code = reply.header.rcode
        if code in _KEPT_CODES:
            with self._lock:
                key = (name, _EVERY_TYPE if code == RCODE.NXDOMAIN else kind)
                self._answers[key] = _Answer(code, list(reply.rr), list(reply.auth), self._clock())
        return reply

    def forget(self) -> None:
        """Know nothing any more."""
        with self._lock:
            self._answers.clear()

    def _known(self, name: str, kind: int) -> _Answer | None:
        for key in ((name, _EVERY_TYPE), (name, kind)):
            answer = self._answers.get(key)
            if answer is not None and self._clock() - answer.kept_at < answer.lifetime_s:
                return answer
        return None

    def _repeat(self, request: Any, answer: _Answer) -> Any:
        age = int(self._clock() - answer.kept_at)
        reply = request.reply()
        reply.header.rcode = answer.code
        for record in answer.records:
            reply.add_answer(_older(record, age))
        for record in answer.authority:
            reply.add_auth(_older(record, age))
        return reply


def _older(record: RR, age_s: int) -> RR:
    return RR(record.rname, record.rtype, record.rclass, max(0, record.ttl - age_s), record.rdata)
