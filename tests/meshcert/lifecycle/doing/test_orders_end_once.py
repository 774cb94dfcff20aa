"""The log of actions is kept for ten years: what it says of an order is true, whatever else was due at that time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshcert.errors import MeshcertError
from tests.meshcert.lifecycle.interruptions import KilledAfter
from tests.meshcert.lifecycle.runs import THROTTLED, failing
from tests.meshcert.lifecycle.world import DAY, GATEWAY, HOUR, MINUTE, TELLER, LifecycleWorld, around_nothing
from tests.meshcert.publishing.fakes import Crash

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

WAITS = (MINUTE, 20 * MINUTE, HOUR, DAY, 30 * DAY, 348 * DAY)
"""Until the next look; after the longest one the certificate is due."""
FAILING = ("renew", "export", "move_label", "roll_out", "record")
"""Calls that AWS does not take for a while."""


class Told:
    """
    A mesh that things happen to.

    Args:
        services: How many of its services there are.
    """

    def __init__(self, services: int) -> None:
        self.world = LifecycleWorld((GATEWAY, TELLER)[:services])
        self.reasons: list[str] = []

    def order(self, kind: str, *, again: bool = False) -> None:
        """An operator orders something, or a message with an order comes once more."""
        if not again or not self.reasons:
            self.reasons.append(f"reason {len(self.reasons)};")
        reason = self.reasons[-1]
        self._survive(lambda: self.world.look(kind, message=reason, reason=reason))

    def killed(self, kind: str, call: int, *, lands: bool) -> None:
        """The function ends in the middle of an order; the message comes again."""
        self.reasons.append(f"reason {len(self.reasons)};")
        reason, around = self.reasons[-1], KilledAfter(call, lands=lands).around
        self._survive(lambda: self.world.look(kind, message=reason, reason=reason, around=around))
        self.world.pass_time(3 * MINUTE)
        self._survive(lambda: self.world.look(kind, message=reason, reason=reason))

    def wait(self, time: dt.timedelta) -> None:
        """Time passes, and somebody looks."""
        self.world.pass_time(time)
        self._survive(self.world.look)

    def tick(self, failing_call: str) -> None:
        """A minute passes, perhaps with a call that AWS does not take."""
        self._survive(lambda: self.world.tick(failing({failing_call}, THROTTLED) if failing_call else around_nothing))

    def renews(self, *, by_itself: bool, takes: dt.timedelta) -> None:
        """How ACM renews from now on."""
        self.world.acm.renews_by_itself, self.world.acm.renewal_takes = by_itself, takes

    def spoil(self) -> None:
        """What is issued now cannot be served."""
        self.world.ecs.bad.add(self.world.issued)

    @staticmethod
    def _survive(run: Callable[[], object]) -> None:
        try:
            run()
        except (Crash, MeshcertError):
            return


ORDERS = st.sampled_from(["rollback", "rollback", "renew"])


def happenings() -> SearchStrategy[Callable[[Told], None]]:
    """What may happen next."""
    return st.one_of(
        st.builds(lambda kind, again: lambda told: told.order(kind, again=again), ORDERS, st.booleans()),
        st.builds(
            lambda kind, call, lands: lambda told: told.killed(kind, call, lands=lands),
            ORDERS,
            st.integers(1, 25),
            st.booleans(),
        ),
        st.builds(lambda time: lambda told: told.wait(time), st.sampled_from(WAITS)),
        st.builds(lambda call: lambda told: told.tick(call), st.sampled_from(("", "", *FAILING))),
        st.builds(
            lambda by_itself, takes: lambda told: told.renews(by_itself=by_itself, takes=takes),
            st.booleans(),
            st.sampled_from((MINUTE, DAY)),
        ),
        st.just(Told.spoil),
    )


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(services=st.integers(0, 2), story=st.lists(happenings(), min_size=1, max_size=10))
def test_nothing_is_said_of_an_order_that_has_ended(services: int, story: list[Callable[[Told], None]]) -> None:
    """Refused, dropped or done: no later line says it was carried out, refused again, or is why something was done."""
    told = Told(services)

    for happens in story:
        happens(told)
    for _ in range(20):
        told.tick("")

    for reason in told.reasons:
        lines = [entry for entry in told.world.audit.entries if reason in entry.why]
        ends = [number for number, entry in enumerate(lines) if entry.action.startswith("order to ")]
        assert ends in ([], [len(lines) - 1]), [(entry.action, entry.outcome) for entry in lines]


def test_a_refused_order_is_forgotten_although_another_step_is_due() -> None:
    """The certificate is overdue, and nothing was ever published before it: refused, then renewed."""
    world = LifecycleWorld()
    world.acm.renews_by_itself = False
    world.pass_time(360 * DAY)

    world.look("rollback", message="m1", reason="drill")
    world.settle()

    orders = [told for told in world.audit.told() if told[0].startswith("order to ")]
    assert orders == [("order to rollback", "refused: there is no good version to go back to")]
    assert world.memory.order is None
    assert world.served == {world.issued}
