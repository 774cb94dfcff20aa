"""
Three lifetimes of 395 days, in memory: whatever happens to events and to AWS, no task serves an expired certificate.

The clock runs day by day while all is settled, with a sweep a day, and minute by minute while something is not, as the
scheduler's ticks would have it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from meshcert.errors import AccessDenied, AwsUnavailable, MeshcertError
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.doing.measures import measures
from tests.meshcert.lifecycle.acm import LIFETIME
from tests.meshcert.lifecycle.world import DAY, HOUR, MINUTE, SECRET, T0
from tests.meshcert.lifecycle.world import LifecycleWorld as World

LIFETIMES = 3
TENTH = LIFETIME / 10
EVENTS = ("lost", "sent", "doubled and late")


class Mesh:
    """
    A mesh through the years.

    Args:
        fails: The methods of ports that fail during the outage.
        error: How.
        begins: When in a lifetime the outage begins.
        lasts: How long it lasts.
    """

    def __init__(
        self,
        fails: frozenset[str] = frozenset(),
        error: Exception | None = None,
        begins: dt.timedelta = LIFETIME * 0.8,
        lasts: dt.timedelta = dt.timedelta(),
    ) -> None:
        self.world = World()
        self.fails, self.error, self.begins, self.lasts = fails, error, begins, lasts
        self.found: set[Kind] = set()
        self.oldest_served = 0.0
        self.settled_after: list[dt.timedelta] = []

    @property
    def out(self) -> bool:
        """Whether AWS is out."""
        return self.begins <= (self.world.clock.now() - T0) % LIFETIME < self.begins + self.lasts

    def around(self, port: Any) -> Any:
        """A port as it is today."""
        mesh = self

        class Today:
            def __getattr__(self, name: str) -> Any:
                if mesh.error and mesh.out and name in mesh.fails:
                    return self._fail
                return getattr(port, name)

            def _fail(self, *_: Any, **__: Any) -> Any:
                assert mesh.error
                raise mesh.error

        return Today()

    def live(self, events: str = "lost") -> World:
        """Three lifetimes."""
        world = self.world
        while world.clock.now() < T0 + LIFETIMES * LIFETIME:
            world.pass_time(DAY)
            number = len(world.acm.serial_numbers)
            world.acm.advance()
            self._look(1 + (events == "doubled and late"))
            if events != "lost" and len(world.acm.serial_numbers) > number:
                self._look()
            self._settle()
            self._check()
        return world

    def _settle(self) -> None:
        begin = self.world.clock.now()
        # Ticks while it is worth it: during an outage a day has four looks here, not 1,440.
        step = 6 * HOUR if self.out else MINUTE
        while any(row.look_at for row in self.world.table.rows.values()):
            if self.world.clock.now() - begin > DAY:
                return
            self.world.pass_time(step - MINUTE)
            for result in self.world.tick(self.around):
                self.found |= {finding.kind for finding in result.plan.findings} if result.plan else set()
        self.settled_after.append(self.world.clock.now() - begin)

    def _look(self, times: int = 1) -> None:
        for _ in range(times):
            try:
                result = self.world.look(around=self.around)
            except MeshcertError:
                continue
            assert result.plan
            self.found |= {finding.kind for finding in result.plan.findings}
            gone = measures(result, self.world.policy).get("ServedLifetimeGone")
            self.oldest_served = max(self.oldest_served, gone.value if gone else 0.0)

    def _check(self) -> None:
        ends = {version: known.not_after for version, known in self._known().items()}
        for version in self.world.served:
            assert self.world.clock.now() < ends.get(version, self.world.clock.now() + DAY), "an expired one is served"

    def _known(self) -> dict[str, Any]:
        return {known.version: known for known in self.world.memory.certificates.values()}


def epochs_are_one(world: World) -> None:
    """New serial numbers = published versions = deployments + the first, and all is one at the end."""
    assert world.served == {world.current} == {world.last_good}
    assert len(world.vault.secrets[SECRET].values) - 1 == len(world.acm.serial_numbers)
    assert len(world.ecs.deployments_begun) == len(world.acm.serial_numbers) - 1


@pytest.mark.parametrize("events", EVENTS)
def test_events_do_not_matter(events: str) -> None:
    """ACM renews by itself at 0.848 of each lifetime; the sweep sees it as well as an event."""
    mesh = Mesh()

    world = mesh.live(events)

    epochs_are_one(world)
    assert len(world.acm.serial_numbers) == 1 + 3
    assert world.acm.renewals_asked == 0
    assert mesh.oldest_served < 86
    assert mesh.found == set()
    assert max(mesh.settled_after) <= HOUR + 10 * MINUTE


def test_without_managed_renewal_our_own_threshold_does_it() -> None:
    """At 0.88 of each lifetime."""
    mesh = Mesh()
    mesh.world.acm.renews_by_itself = False

    world = mesh.live()

    epochs_are_one(world)
    assert world.acm.renewals_asked == len(world.acm.serial_numbers) - 1 == 3
    assert mesh.oldest_served < 88.5


THROTTLED = AwsUnavailable("service:Action", "arn", "ThrottlingException")
DENIED = AccessDenied("service:Action", "arn", "AccessDeniedException")


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        pytest.param({"describe", "version", "renew"}, THROTTLED, id="ACM fails"),
        pytest.param({"describe", "version", "renew"}, DENIED, id="ACM denies"),
        pytest.param({"labels", "move_label"}, THROTTLED, id="Secrets Manager fails"),
        pytest.param({"look", "roll_out"}, THROTTLED, id="ECS fails"),
        pytest.param({"export"}, THROTTLED, id="the export function fails"),
        pytest.param({"take", "save", "release"}, THROTTLED, id="the tables fail"),
    ],
)
def test_an_outage_for_a_tenth_of_a_lifetime_is_survived(fails: set[str], error: Exception) -> None:
    """It begins before ACM renews and ends at 0.9: found while it lasts, within a sweep of settled after it."""
    mesh = Mesh(frozenset(fails), error, lasts=TENTH)

    world = mesh.live()

    epochs_are_one(world)
    assert mesh.oldest_served < 91
    assert mesh.found <= {Kind.AWS_UNAVAILABLE, Kind.AWS_DENIED, Kind.STEP_FAILING}
    if "take" not in fails:
        assert mesh.found


def test_a_missing_permission_for_a_tenth_of_a_lifetime_is_survived() -> None:
    """ACM answers 200 and renews nothing; when the permission is back, it is renewed in time and once."""
    mesh = Mesh(lasts=TENTH)
    world = mesh.world
    world.acm.permission = lambda: not mesh.out

    mesh.live()

    epochs_are_one(world)
    assert mesh.found == {Kind.RENEWAL_FAILING}
    assert mesh.oldest_served < 93
