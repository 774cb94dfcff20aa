"""The publisher function's handler: what it counts, and that no event steers it."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.publisher import handler
from meshcert.errors import SecretNotPublished
from meshcert.federation.own_publication import OwnPublication
from tests.lambdas.invocation import Invocations
from tests.meshcert.federation.test_own_bundle import DOMAIN, HINT, A, World


@pytest.fixture
def world() -> World:
    """A mesh that publishes its bundle."""
    return World()


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invocations:
    """The handler on ports in memory."""
    own = OwnPublication("yelb", DOMAIN, ("yelb",), HINT, world.vault, world, world.clock)
    return Invocations(handler, lambda: own, monkeypatch, capsys)


def test_every_run_that_finds_the_bundle_or_puts_it_there_counts(run: Invocations, world: World) -> None:
    """The alarm is about runs that do neither."""
    world.trust(A)

    assert run.invoke({"publisher": "tick"})["outcome"] == "published"
    assert run.invoke({"publisher": "tick"})["outcome"] == "unchanged"
    assert [each["OwnBundleInPlace"] for each in run.emitted()] == [[1], [1]]


def test_a_run_that_cannot_fails_and_says_so(run: Invocations, world: World) -> None:
    """The alarm waits for such figures, and for none at all."""
    with pytest.raises(SecretNotPublished):
        run.invoke({"publisher": "tick"})

    assert world.stored is None
    assert [each["OwnBundleInPlace"] for each in run.emitted()] == [[0]]


@pytest.mark.parametrize(
    "event",
    [{}, [], {"hierarchies": ["evil"], "trust_domain": "evil.example", "refresh_hint_s": 1}, {"RequestType": "Delete"}],
    ids=str,
)
def test_no_event_says_what_is_published(run: Invocations, world: World, event: Any) -> None:
    """CloudFormation alone writes what the function goes by."""
    world.trust(A)
    run.invoke({})
    before = world.stored

    assert run.invoke(event)["outcome"] == "unchanged"
    assert world.stored == before
