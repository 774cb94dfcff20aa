"""What PERMISSIVE listeners are asked, as an Envoy counts it that the test controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from entrypoint.rotating.permissive import PermissiveCounts, PermissiveListeners
from evidence.fixtures.proxies import PORT, teller
from meshcert.proxy import TlsMode

if TYPE_CHECKING:
    from entrypoint.envoy.admin import Admin

AT = 1_700_000_000


class CountingEnvoy:
    """An Envoy with one teller, on a clock that only the test moves."""

    def __init__(self, mode: TlsMode = TlsMode.PERMISSIVE, protocol: str = "http") -> None:
        self.now = float(AT)
        self.tls = self.plain = 0
        self.answer = "{kind}_tls.{counter}: {tls}\n{kind}_plain.{counter}: {plain}\n{kind}_plain.other: 7\n"
        self.silent = False
        self.asked = 0
        self._words = ("tcp", "downstream_cx_total") if protocol == "tcp" else ("http", "downstream_rq_total")
        (listener,) = teller().listeners
        proxy = teller(listeners=(listener._replace(protocol=protocol, tls=listener.tls._replace(mode=mode)),))
        self.listeners = PermissiveListeners(proxy, cast("Admin", self), lambda: self.now)

    def get(self, path: str) -> str:
        """Stand in for Envoy's administration interface."""
        assert path.startswith("/stats?filter=")
        self.asked += 1
        if self.silent:
            raise ConnectionError("GET /stats: nobody")
        kind, counter = self._words
        return self.answer.format(kind=f"{kind}.ingress_{PORT}", counter=counter, tls=self.tls, plain=self.plain)


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc", "tcp"])
def test_the_last_in_plain_text_came_before_the_look_that_counts_it(protocol: str) -> None:
    """Later looks, and requests over TLS, leave the time as it was."""
    envoy = CountingEnvoy(protocol=protocol)
    first = envoy.listeners.read()
    assert first == {PORT: PermissiveCounts(0, 0)}

    envoy.now, envoy.tls, envoy.plain = AT + 60, 3, 2
    assert envoy.listeners.read() == {PORT: PermissiveCounts(3, 2, AT + 60)}
    envoy.now, envoy.tls = AT + 120, 9
    assert envoy.listeners.read() == {PORT: PermissiveCounts(9, 2, AT + 60)}
    envoy.now, envoy.plain = AT + 180, 3
    assert envoy.listeners.read() == {PORT: PermissiveCounts(9, 3, AT + 180)}
    assert first == {PORT: PermissiveCounts(0, 0)}


def test_a_new_watcher_takes_what_it_finds_for_new() -> None:
    """It cannot know when it came, and STRICT must not look safe too early."""
    envoy = CountingEnvoy()
    envoy.plain = 5

    assert envoy.listeners.read() == {PORT: PermissiveCounts(0, 5, AT)}


@pytest.mark.parametrize("answer", [None, "garbage\n", "http.x: seven\n"])
def test_an_envoy_that_does_not_answer_leaves_what_was_known(answer: str | None) -> None:
    """And nothing is said before it ever has."""
    envoy = CountingEnvoy()
    good, envoy.plain = envoy.answer, 1
    envoy.silent, envoy.answer = answer is None, answer or ""
    assert envoy.listeners.read() == {}
    envoy.silent, envoy.answer = False, good
    envoy.listeners.read()

    envoy.silent, envoy.answer, envoy.plain = answer is None, answer or "", 2

    assert envoy.listeners.read() == {PORT: PermissiveCounts(0, 1, AT)}


@pytest.mark.parametrize("mode", [TlsMode.STRICT, TlsMode.DISABLED])
def test_of_other_listeners_nobody_asks(mode: TlsMode) -> None:
    """All that they take is of one kind."""
    envoy = CountingEnvoy(mode)

    assert envoy.listeners.read() == {}
    assert envoy.asked == 0
