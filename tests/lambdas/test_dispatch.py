"""The dispatch function's handler: ticks and sweeps become looks."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.simulation.tables import InMemoryIdentities, InMemoryLifecycle, InMemoryMessages
from lambdas.dispatch import handler
from meshcert.errors import AwsUnavailable
from meshcert.issuing.acm import ACM
from meshcert.lifecycle.asking.dispatch import DispatchPorts
from tests.lambdas.invocation import Invocations, batch, failed
from tests.meshcert.publishing.fakes import FakeClock
from tests.meshcert.publishing.world import TELLER

if TYPE_CHECKING:
    from meshcert.lifecycle.audit import AuditEntry

QUEUE = "meshcert-color-dispatch"
TICK, SWEEP = (json.dumps({"dispatch": kind}) for kind in ("tick", "sweep"))


@pytest.fixture
def ports() -> DispatchPorts:
    """Three identities, of which one is unsettled."""
    clock, table, declared = FakeClock(), InMemoryLifecycle(), InMemoryIdentities()
    for name in ("a", "b", "c"):
        declared.remember(replace(TELLER, name=name))
    table.want("b", clock.now() - dt.timedelta(minutes=1))
    return DispatchPorts(table, declared, InMemoryMessages(), clock, ACM.looks_per_second)


@pytest.fixture
def run(ports: DispatchPorts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invocations:
    """The handler on these."""
    return Invocations(handler, lambda: ports, monkeypatch, capsys)


def sent(ports: DispatchPorts) -> list[tuple[list[str], str]]:
    """Whom looks were sent for, and why."""
    messages: Any = ports.messages
    return [(list(names), because) for names, because in messages.sent]


def test_a_tick_has_the_unsettled_looked_at(run: Invocations, ports: DispatchPorts) -> None:
    """And says how many there are."""
    assert failed(run.invoke(batch(QUEUE, [TICK]))) == []

    assert sent(ports) == [(["b"], "tick")]
    (document,) = run.emitted()
    assert (document["Ticks"], document["Unsettled"]) == ([1.0], [1.0])
    assert run.metrics() == ["Ticks", "Unsettled"]


def test_a_sweep_has_all_looked_at(run: Invocations, ports: DispatchPorts) -> None:
    """Whatever is known of them."""
    assert failed(run.invoke(batch(QUEUE, [SWEEP]))) == []

    assert sent(ports) == [(["a", "b", "c"], "sweep")]
    (document,) = run.emitted()
    assert (document["Sweeps"], document["Identities"]) == ([1.0], [3.0])


def test_a_tick_without_anything_unsettled_still_counts(run: Invocations, ports: DispatchPorts) -> None:
    """An alarm on missing ticks is what tells that the clock has stopped."""
    table: Any = ports.table
    table.rows.clear()

    run.invoke(batch(QUEUE, [TICK]))

    (document,) = run.emitted()
    assert (document["Ticks"], document["Unsettled"]) == ([1.0], [0.0])


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", '{"dispatch": "tock"}', '{"look": "a"}'])
def test_an_odd_message_is_dropped_with_a_warning(run: Invocations, ports: DispatchPorts, body: str) -> None:
    """Coming again would not mend it."""
    assert failed(run.invoke(batch(QUEUE, [body, TICK]))) == []

    assert sent(ports) == [(["b"], "tick")]
    assert '"level":"WARNING"' in run.output()
    assert run.metrics() == ["Ticks", "Unsettled"]


def test_what_cannot_be_sent_now_comes_again(
    run: Invocations, ports: DispatchPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other messages of the batch are not held up, and the function has not failed."""

    def throttled(now: dt.datetime) -> list[AuditEntry]:
        raise AwsUnavailable("dynamodb:Query", "unsettled", f"ThrottlingException at {now:%Y}")

    monkeypatch.setattr(ports.table, "unsettled", throttled)

    assert failed(run.invoke(batch(QUEUE, [TICK, SWEEP, TICK]))) == ["m0", "m2"]
    assert [because for _, because in sent(ports)] == ["sweep"]
    assert "dynamodb:Query on unsettled: ThrottlingException" in run.output()


def test_a_fault_of_ours_comes_again_with_its_trace(run: Invocations, monkeypatch: pytest.MonkeyPatch) -> None:
    """After too many tries it is among the dead letters, and the log says why."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(handler, "dispatch", broken)

    assert failed(run.invoke(batch(QUEUE, [TICK]))) == ["m0"]
    assert "ZeroDivisionError" in run.output()
