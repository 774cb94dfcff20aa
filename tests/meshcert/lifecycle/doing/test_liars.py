"""
Eight hundred days, in memory, with a task that lies, an upstream host that lies, and a task whose clock is off.

Each alone and all three: no certificate that a task serves expires, whoever is wrong is named, and a person is told in
time, with a remedy that works. ``MESHCERT_LIARS`` in the environment is how many seeds are tried (what the lying
task says when depends on them); the soak tries more.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshcert.contract.lifetimes import GO_BACK_UNTIL
from meshcert.lifecycle.deciding.findings import Kind
from tests.meshcert.lifecycle.acm import LIFETIME, version_of
from tests.meshcert.lifecycle.ecs import RunningTask, SimulatedEcs, SimulatedService
from tests.meshcert.lifecycle.world import CERTIFICATE, DAY, GATEWAY, MINUTE, T0, TELLER
from tests.meshcert.lifecycle.world import LifecycleWorld as World

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    from meshcert.issuing.issuer import ValidityPeriod
    from meshcert.lifecycle.observation import Acknowledgement

SEEDS = range(int(os.environ.get("MESHCERT_LIARS", "1")))
DAYS = 800
STEP, TICKS = DAY, 3
BEHIND = 30 * DAY
HOST = "ledger@10.0.0.7"
TRIED = "trial: upstream ledger: it refuses the new client certificate (unknown_ca)"
CLOCK = "preflight: Certificate: it is not valid before tomorrow"
TASK, UPSTREAM, SLOW = "a task lies", "an upstream host lies", "a task's clock is off"
WRONG = [(TASK,), (UPSTREAM,), (SLOW,), (TASK, UPSTREAM, SLOW)]
TELLING = {Kind.DOUBTED, Kind.ROLLED_BACK, Kind.ROLLED_BACK_AGAIN, Kind.NOTHING_TO_GO_BACK_TO}


class TroubledEcs(SimulatedEcs):
    """
    ECS whose gateway has trouble.

    Its first task lies: it refuses whatever is current, by itself or after hosts that it makes up, and says that it
    serves what it served first. Its last task's clock is thirty days behind. And one host of an upstream of all its
    tasks accepts what they serve and refuses what is new.
    """

    wrong: frozenset[str] = frozenset()
    lies = 0
    validity: dict[str, ValidityPeriod]
    slow = ""

    def of(self, service: str, instances: Collection[str]) -> dict[str, dict[str, Acknowledgement]]:
        """The table ``acknowledgements``."""
        rows = super().of(service, instances)
        if service != GATEWAY.name:
            return rows
        tried = {
            task: {
                name: replace(said, refused_by=(HOST,)) if said.error == TRIED else said for name, said in row.items()
            }
            for task, row in rows.items()
        }
        return tried | self._lies(service, rows) if TASK in self.wrong else tried

    def liar(self) -> str:
        """The task that lies, whichever is the gateway's first."""
        return self.services[GATEWAY.name].tasks[0].arn

    def _lies(self, name: str, rows: dict[str, dict[str, Acknowledgement]]) -> dict[str, dict[str, Acknowledgement]]:
        service = self.services[name]
        self.lies += 1
        made_up = tuple(f"{word}@10.0.0.{word}" for word in map(str, range(self.lies % 3)))
        (said,) = rows[self.liar()].values()
        lie = replace(
            said,
            version=next(iter(self.validity)),
            refused=self._current(service),
            error=TRIED if made_up else CLOCK,
            refused_by=made_up,
        )
        return {self.liar(): {service.identity.name: lie}}

    def _poll(self, service: SimulatedService, task: RunningTask) -> None:
        current, now = self._current(service), self._clock.now()
        if service.use == GATEWAY and current not in {"", task.serves} and task.serves in self.validity:
            served = self.validity[task.serves]
            if SLOW in self.wrong and task.arn == self.slow and now < self.validity[current].not_before + BEHIND:
                task.refuses, task.error = current, CLOCK
                return
            nears_end = now >= served.not_before + (served.not_after - served.not_before) * GO_BACK_UNTIL
            goes_back = self._is_quarantined(service, task.serves)
            if UPSTREAM in self.wrong and not nears_end and not goes_back:
                task.refuses, task.error = current, TRIED
                return
        super()._poll(service, task)


class Years:
    """A mesh with trouble, through the days."""

    def __init__(self, wrong: set[str], seed: int) -> None:
        self.world = World((GATEWAY, TELLER), platform=TroubledEcs)
        assert isinstance(self.world.ecs, TroubledEcs)
        self.ecs: TroubledEcs = self.world.ecs
        self.ecs.wrong, self.ecs.lies, self.ecs.validity = frozenset(wrong), seed, {}
        self.ecs.slow = self.ecs.services[GATEWAY.name].tasks[-1].arn
        self.told: list[tuple[dt.datetime, Kind, str]] = []
        self.named: set[str] = set()
        self._note()

    def pass_days(self, days: float) -> None:
        """Sweeps, and a few ticks after each; nothing may expire while it is served."""
        until = self.world.clock.now() + days * DAY
        while self.world.clock.now() < until:
            self.world.pass_time(STEP)
            self._note()
            self._look()
            for _ in range(TICKS):
                self.world.pass_time(MINUTE)
                self._note()
                self._look(by="tick")
            self._check()

    def told_first(self, since: dt.datetime) -> dt.datetime:
        """When a person was first told after a moment."""
        return next(at for at, kind, _ in self.told if at >= since and kind in TELLING)

    def _look(self, by: str = "sweep") -> None:
        self.named.add(self.ecs.liar())
        result = self.world.look(by=by)
        assert result.plan
        self.told += [(self.world.clock.now(), finding.kind, finding.detail) for finding in result.plan.findings]

    def _note(self) -> None:
        """What ACM has issued: when it ends, by version."""
        self.world.acm.advance()
        issued = self.world.acm.certificates[CERTIFICATE]
        self.ecs.validity.setdefault(version_of(issued.serial_number), issued.validity)

    def _check(self) -> None:
        now = self.world.clock.now()
        for service in self.ecs.services.values():
            for task in service.tasks:
                assert now < self.ecs.validity[task.serves].not_after, f"{task.arn} serves what has expired"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("wrong", WRONG, ids=" and ".join)
def test_nothing_expires_and_whoever_is_wrong_is_named(wrong: tuple[str, ...], seed: int) -> None:
    """Two renewals fall into the days; a person is told within a day of each, four weeks before anything ends."""
    years = Years(set(wrong), seed)
    years.pass_days(DAYS)

    ends = [validity.not_after for validity in years.ecs.validity.values()]
    assert years.world.clock.now() < ends[-1]
    assert len(ends) >= 3
    first = T0 + LIFETIME * 0.848
    assert years.told_first(first) < first + 3 * DAY < ends[0] - 28 * DAY
    texts = [detail for _, kind, detail in years.told if kind in TELLING]
    if UPSTREAM in wrong:
        assert any(HOST in detail for detail in texts)
    if TASK in wrong:
        assert any(task in detail for detail in texts for task in years.named)
    if SLOW in wrong:
        assert any(years.ecs.slow in detail for detail in texts)


@pytest.mark.parametrize("wrong", WRONG, ids=" and ".join)
def test_the_remedy_works(wrong: tuple[str, ...]) -> None:
    """Who is named is stopped: within a day every task serves one version, and it is proven."""
    years = Years(set(wrong), 0)
    years.pass_days(340)
    assert years.told

    years.ecs.wrong = frozenset()
    world = years.world
    world.look(by="sweep")
    world.settle(within=DAY)

    assert world.served == {world.current} == {world.last_good} == {world.issued}
    assert len(years.ecs.validity) >= 2
