"""The federate function's handler: whom it asks, what it counts, and that no event steers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.bundles import document
from lambdas.federate import handler
from meshcert.errors import BundleEndpointUnreachable
from meshcert.federation.refreshing import EVERY_S, FederationPorts
from tests.lambdas.invocation import Invocations
from tests.meshcert.federation.test_refreshing import ENDPOINT, NEW, OLD, PARTNER, World

if TYPE_CHECKING:
    from meshcert.errors import MeshcertError

DOWN = BundleEndpointUnreachable(*ENDPOINT, "timed out")
EVENT = {"federate": "tick"}


@pytest.fixture
def world() -> World:
    """A mesh with one partner."""
    return World()


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invocations:
    """The handler on ports in memory."""
    ports = FederationPorts("yelb", world, world.vault, world.vault, world, world.clock)
    return Invocations(handler, lambda: ((ENDPOINT,), ports), monkeypatch, capsys)


def _figures(run: Invocations) -> list[tuple[Any, Any]]:
    """The two figures of every run, in order."""
    return [(each["BundleHintsMissed"], each["BundlesRefused"]) for each in run.emitted()]


def test_a_run_publishes_and_tells_what_came_of_each_endpoint(run: Invocations, world: World) -> None:
    """With both figures, so that alarms end."""
    world.answers[PARTNER] = document(OLD)

    assert run.invoke(EVENT) == {PARTNER: "published"}
    assert set(run.metrics()) == {"BundlesPublished", "BundleHintsMissed", "BundlesRefused"}
    assert world.believed.certificates == OLD


@pytest.mark.parametrize(("answer", "figures"), [(DOWN, (3, 0)), (b"garbage", (3, 1))], ids=["down", "lies"])
def test_what_an_endpoint_does_wrong_is_counted_as_long_as_it_lasts(
    run: Invocations, world: World, answer: bytes | MeshcertError, figures: tuple[int, int]
) -> None:
    """The function itself does not fail: its alarm is about something else."""
    world.answers[PARTNER] = document(OLD, hint=EVERY_S)
    run.invoke(EVENT)
    world.answers[PARTNER] = answer
    for _ in range(3):
        world.clock.sleep(EVERY_S)
        assert run.invoke(EVENT) == {PARTNER: "failed"}
    assert _figures(run)[-1] == ([figures[0]], [figures[1]])

    world.clock.sleep(EVERY_S)
    world.answers[PARTNER] = document(NEW, sequence=2, hint=EVERY_S)
    run.invoke(EVENT)

    assert _figures(run)[-1] == ([0], [0])


@pytest.mark.parametrize("event", [{}, {"endpoints": ["evil.example=https://evil.example/"]}, []], ids=str)
def test_no_event_says_whom_to_ask(run: Invocations, world: World, event: Any) -> None:
    """CloudFormation alone writes who is asked."""
    world.answers[PARTNER] = document(OLD)

    assert run.invoke(event) == {PARTNER: "published"}
    assert world.asked == [PARTNER]
