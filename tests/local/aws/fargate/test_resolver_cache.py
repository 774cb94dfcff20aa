"""The resolver between callers and the zones: one caller's question is the next one's answer."""

from __future__ import annotations

from typing import Any

import pytest
from dnslib import QTYPE, RCODE, RR, SOA, A, DNSRecord
from dnslib.server import BaseResolver

from local.aws.fargate.network.resolver_cache import ResolverCache
from tests.local.aws.clocks import MonotonicClock

NAME = "teller.color.local"
DENIAL_S = 300


class Zone(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """A zone with one name; it has what ``addresses`` holds and counts the questions."""

    def __init__(self) -> None:
        self.code = RCODE.NXDOMAIN
        self.addresses: list[str] = []
        self.asked = 0

    def resolve(self, request: Any, handler: object) -> Any:
        """An answer with a TTL of 5 s, or a denial."""
        del handler
        self.asked += 1
        reply = request.reply()
        reply.header.rcode = RCODE.NOERROR if self.addresses else self.code
        for address in self.addresses if request.q.qtype == QTYPE.A else ():
            reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=5))
        if not reply.rr and reply.header.rcode != RCODE.SERVFAIL:
            reply.add_auth(RR(NAME, QTYPE.SOA, rdata=SOA("ns.", "root.", (1, 1, 1, 1, DENIAL_S)), ttl=DENIAL_S))
        return reply


@pytest.fixture
def clock() -> MonotonicClock:
    """A clock that stands still until it is moved."""
    return MonotonicClock()


@pytest.fixture
def zone() -> Zone:
    """The zone behind the resolver, empty at first."""
    return Zone()


@pytest.fixture
def resolver(zone: Zone, clock: MonotonicClock) -> ResolverCache:
    """The resolver, with a clock that stands still."""
    return ResolverCache(zone, clock)


def ask(resolver: ResolverCache, kind: str = "A") -> DNSRecord:
    """One question for the name."""
    return resolver.resolve(DNSRecord.question(NAME, kind), None)


def addresses(resolver: ResolverCache) -> list[str]:
    """What the name resolves to."""
    return [str(record.rdata) for record in ask(resolver).rr]


def test_a_denial_outlives_its_cause_until_its_ttl_is_over(
    zone: Zone, resolver: ResolverCache, clock: MonotonicClock
) -> None:
    """Who asks too early hurts everybody who asks later, for another type too, and learns how long it will last."""
    assert ask(resolver).header.rcode == RCODE.NXDOMAIN
    zone.addresses = ["127.0.0.9"]
    clock.pass_by(DENIAL_S - 1)

    later = ask(resolver, "AAAA")
    assert later.header.rcode == RCODE.NXDOMAIN
    assert [record.ttl for record in later.auth] == [1]
    clock.pass_by(1)

    assert addresses(resolver) == ["127.0.0.9"]


def test_an_answer_is_kept_for_its_ttl_which_grows_old(
    zone: Zone, resolver: ResolverCache, clock: MonotonicClock
) -> None:
    """A random eight stays the same eight for the record's TTL."""
    zone.addresses = ["127.0.0.1"]
    assert addresses(resolver) == ["127.0.0.1"]
    zone.addresses = ["127.0.0.2"]
    clock.pass_by(4)

    assert [(str(record.rdata), record.ttl) for record in ask(resolver).rr] == [("127.0.0.1", 1)]
    clock.pass_by(1)

    assert addresses(resolver) == ["127.0.0.2"]


def test_that_one_type_is_empty_says_nothing_of_the_other(zone: Zone, resolver: ResolverCache) -> None:
    """AAAA is kept as empty, and A is still asked for."""
    zone.addresses = ["127.0.0.1"]

    assert ask(resolver, "AAAA").rr == []
    assert addresses(resolver) == ["127.0.0.1"]
    assert ask(resolver, "AAAA").header.rcode == RCODE.NOERROR
    assert zone.asked == 2


def test_a_failure_is_not_kept(zone: Zone, resolver: ResolverCache) -> None:
    """SERVFAIL is asked anew each time."""
    zone.code = RCODE.SERVFAIL

    assert [ask(resolver).header.rcode for _ in range(2)] == [RCODE.SERVFAIL] * 2
    assert zone.asked == 2


def test_forgetting_asks_anew(zone: Zone, resolver: ResolverCache) -> None:
    """A reset of the local AWS leaves no denial behind."""
    ask(resolver)
    zone.addresses = ["127.0.0.1"]
    resolver.forget()

    assert addresses(resolver) == ["127.0.0.1"]
