"""The states of a delivered resource, with a kind of the test's own: they know nothing of secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from entrypoint.aws.retrying import ProcessClock
from entrypoint.envoy.handover import EnvoyResource, EnvoySilent, Verdict
from entrypoint.rotating.resource import CONFIRM_S, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ACCEPTED, REFUSED = Verdict(accepted=True), Verdict(accepted=False, reason="no such cluster")


class Endpoints(NamedTuple):
    """A kind of resource that is not a secret."""

    envoy: EnvoyResource
    hosts: tuple[str, ...]


class Envoy:
    """Is handed resources and judges them when a test says so."""

    ask_every_s = 1.0

    def __init__(self) -> None:
        self.has: list[str] = []
        self.judgement: Verdict | None = None
        self.failing: OSError | None = None

    def put(self, name: str, resource: EnvoyResource) -> None:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        assert name == "endpoints/ledger"
        if self.failing:
            raise self.failing
        self.has.append(resource.version)

    def hand(self, name: str, resource: EnvoyResource) -> Envoy:
        """See :class:`entrypoint.envoy.handover.Handover`; this object is every ticket."""
        self.put(name, resource)
        return self

    def verdict(self) -> Verdict | None:
        """The verdict that the test has set."""
        return self.judgement

    def restore(self, name: str, resource: EnvoyResource | None) -> None:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        if resource:
            self.put(name, resource)

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """Must not be called: no test here starts an Envoy."""
        raise NotImplementedError

    def earlier(self, names: Iterable[str]) -> Mapping[str, EnvoyResource]:
        """Must not be called: no watcher here follows another."""
        raise NotImplementedError


def _version(number: int) -> Endpoints:
    return Endpoints(EnvoyResource(f"v{number}", {}), (f"10.0.0.{number}",))


@pytest.fixture
def envoy() -> Envoy:
    """It has nothing."""
    return Envoy()


@pytest.fixture
def resource(envoy: Envoy) -> Resource[Endpoints]:
    """Envoy serves its first version."""
    found: Resource[Endpoints] = Resource("endpoints/ledger", envoy, used=True)
    assert (found.version, found.in_envoy) == ("", ())
    found.put(_version(1))
    return found


def test_a_version_is_handed_and_then_served(resource: Resource[Endpoints], envoy: Envoy) -> None:
    """Until the verdict Envoy may be serving either of two."""
    resource.hand(_version(2))
    assert resource.verdict() is None
    assert [found.hosts for found in resource.in_envoy] == [("10.0.0.2",), ("10.0.0.1",)]

    envoy.judgement = ACCEPTED

    assert resource.verdict() == ACCEPTED
    assert not resource.unjudged
    assert [found.hosts for found in resource.in_envoy] == [("10.0.0.2",)]
    assert envoy.has == ["v1", "v2"]


def test_a_version_that_envoy_refuses_is_taken_back_and_remembered(resource: Resource[Endpoints], envoy: Envoy) -> None:
    """Envoy gets back the last version that it accepted, not the last one that it was handed."""
    resource.hand(_version(2))
    resource.hand(_version(3))
    envoy.judgement = REFUSED

    assert resource.verdict() == REFUSED

    assert resource.rejected == ("v3", "no such cluster", ())
    assert (resource.version, resource.in_envoy) == ("v1", (_version(1),))
    assert envoy.has == ["v1", "v2", "v3", "v1"]
    assert resource.verdict() == ACCEPTED  # none is due


@pytest.mark.parametrize("error", [EnvoySilent(), OSError("full")])
def test_a_hand_over_that_fails_changes_nothing(resource: Resource[Endpoints], envoy: Envoy, error: OSError) -> None:
    """A verdict on an earlier version is still due, too."""
    resource.hand(_version(2))
    envoy.failing = error

    with pytest.raises(type(error)):
        resource.hand(_version(3))

    assert resource.version == "v2"
    assert resource.unjudged
    assert [found.hosts for found in resource.in_envoy] == [("10.0.0.2",), ("10.0.0.1",)]


def test_a_refused_version_that_cannot_be_taken_back_is_not_tried_again(
    resource: Resource[Endpoints], envoy: Envoy
) -> None:
    """Envoy itself keeps the last good one."""
    resource.hand(_version(2))
    envoy.judgement, envoy.failing = REFUSED, OSError("full")

    with pytest.raises(OSError, match="full"):
        resource.verdict()

    assert (resource.rejected.version, resource.version, resource.unjudged) == ("v2", "v1", False)


def test_the_wait_for_a_verdict_has_an_end(resource: Resource[Endpoints]) -> None:
    """It can be asked for again later."""
    now = [0.0]
    clock = ProcessClock(monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds))
    resource.hand(_version(2))

    assert resource.await_verdict(clock) is None
    assert now == [CONFIRM_S]
    assert resource.unjudged


def test_what_envoy_does_not_use_needs_no_verdict(envoy: Envoy) -> None:
    """It is handed over all the same: another configuration may use it."""
    unused: Resource[Endpoints] = Resource("endpoints/ledger", envoy, used=False)

    unused.hand(_version(1))

    assert (envoy.has, unused.verdict(), unused.unjudged) == (["v1"], ACCEPTED, False)


def test_a_complaint_is_told_once_until_it_changes_or_ends(resource: Resource[Endpoints]) -> None:
    """By version and reason; the end is told as well, and ends a refusal."""
    assert resource.complain("v2", "fetch", "throttled")
    assert not resource.complain("v2", "fetch", "throttled")
    assert resource.complain("v3", "fetch", "throttled")
    assert resource.trouble == "fetch: throttled"
    resource.refuse("v3", "preflight: it has expired", ())
    resource.begin_look()
    assert (resource.trouble, resource.refusal) == ("", ("v3", "preflight: it has expired", ()))

    assert resource.settle()
    assert not resource.settle()
    assert resource.refusal is None
    assert resource.complain("v3", "fetch", "throttled")
