"""
The renewal function may end at any call it makes, be throttled at any, and run twice at any: the end is the same.

A rotation is all from the threshold on: renew, export and publish, a service that reloads, one that is redeployed, and
the proof. The export function is one call here; its own crashes are in ``test_export_crashes.py``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from evidence.simulation.vault import SEED_VERSION
from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, PREVIOUS, QUARANTINED
from meshcert.errors import MeshcertError
from tests.meshcert.lifecycle.interruptions import BEYOND, KilledAfter, Meanwhile, Throttled
from tests.meshcert.lifecycle.runs import roll_out_badly
from tests.meshcert.lifecycle.world import DAY, IDENTITY, MINUTE, SECRET
from tests.meshcert.lifecycle.world import LifecycleWorld as World
from tests.meshcert.publishing.fakes import Crash

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.meshcert.publishing.fakes import CrashAfter

LAST_OF_ROTATION, LAST_OF_ROLL_BACK, LAST_OF_ORDER, LAST_OF_ORDER_TO_ROLL_BACK = 74, 92, 74, 92
LAST_OF_COMPROMISE = 130
"""Beyond the last call of each story; a test makes sure."""


def numbers(last: int) -> list[int]:
    """Every call."""
    return list(range(1, last + 1))


class Story:
    """
    One story, told with a function that something happens to.

    Args:
        world: Where.
        interruption: What happens.
        order: An order that begins it.
    """

    def __init__(self, world: World, interruption: CrashAfter, order: str = "") -> None:
        self.world = world
        self._around: Callable[[Any], Any] = interruption.around
        self._order = order
        self._delivered = False
        self._redelivered_at = world.clock.now()

    def tell(self) -> World:
        """Until all is settled."""
        end = self.world.clock.now() + DAY
        self._look()
        while not self._delivered or any(row.look_at for row in self.world.table.rows.values()):
            assert self.world.clock.now() < end, self.world.audit.told()[-9:]
            self._tick()
        return self.world

    def _tick(self) -> None:
        try:
            self.world.tick(self._around)
        except Crash:
            self._around = lambda port: port
        if not self._delivered and self._redelivered_at <= self.world.clock.now():
            self._look()

    def _look(self) -> None:
        """The message comes again after its visibility timeout, unless its run came to an end."""
        try:
            self.world.look(self._order, message="m1", around=self._around)
        except Crash:
            self._around = lambda port: port
        except MeshcertError:
            pass
        else:
            self._delivered = True
        self._redelivered_at = self.world.clock.now() + 3 * MINUTE


def due() -> World:
    """A mesh whose certificate is to be renewed, and ACM does not do it by itself."""
    world = World()
    world.acm.renews_by_itself = False
    world.pass_time(348 * DAY)
    return world


def failing() -> World:
    """A mesh whose teller is being redeployed with a version that its Envoy cannot open."""
    world = World()
    roll_out_badly(world)
    world.pass_time(MINUTE)
    return world


def proven_for_a_day() -> World:
    """A mesh after a day."""
    world = World()
    world.pass_time(DAY)
    return world


def renewed_on_order() -> World:
    """A mesh whose second version is proven."""
    world = proven_for_a_day()
    world.look("renew", message="m0")
    world.settle()
    return world


def rotated_once(world: World) -> None:
    """One new certificate, one new version, one deployment, and everything on it."""
    first, second = list(world.vault.secrets[SECRET].values)[1:]
    assert len(world.acm.serial_numbers) == 2
    assert world.vault.labels(SECRET) == {second: {CURRENT, LAST_GOOD}, first: {PREVIOUS}}
    assert world.served == {second} == {world.issued}
    assert world.ecs.deployments_begun == ["teller"]


def leaked() -> World:
    """A mesh whose second version is proven, when its key leaks; who still serves it when it is revoked is noted."""
    world = renewed_on_order()
    old, served = set(world.vault.secrets[SECRET].values), set[str]()
    world.acm.on_revoke = lambda: served.update(world.reachable & old)
    world.served_revoked = served
    return world


def left_its_keys(world: World) -> None:
    """As after a rotation, and every certificate of before is revoked, once, after nobody served it any more."""
    newest, *others = reversed(list(world.vault.secrets[SECRET].values)[1:])
    assert world.served == {newest} == {world.issued} == {world.last_good}
    assert len(world.acm.serial_numbers) == len(others) + 1
    assert sorted(world.acm.revoked) == world.acm.serial_numbers[:-1]
    assert world.served_revoked == set()
    assert world.memory.compromise
    assert world.memory.compromise.outstanding(world.clock.now()) == ()


def went_back_and_on(world: World) -> None:
    """The bad version is quarantined for good, a fresh certificate took its place, a deployment for each version."""
    _, bad, fresh = list(world.vault.secrets[SECRET].values)[1:]
    labels = world.vault.labels(SECRET)
    assert len(world.acm.serial_numbers) == 3
    assert labels[fresh] == {CURRENT, LAST_GOOD}
    assert QUARANTINED in labels[bad]
    assert world.served == {fresh} == {world.issued}
    assert len(world.ecs.deployments_begun) <= 3


@pytest.mark.parametrize("lands", [False, True], ids=["before", "after"])
class TestKilled:
    """Killed before or after AWS carried the call out; what comes later is done by other runs."""

    @pytest.mark.parametrize("call", numbers(LAST_OF_ROTATION))
    def test_at_any_call_of_a_rotation(self, call: int, *, lands: bool) -> None:
        """New certificates 1, published versions 1, deployments 1."""
        rotated_once(Story(due(), KilledAfter(call, lands=lands)).tell())

    @pytest.mark.parametrize("call", numbers(LAST_OF_ROLL_BACK))
    def test_at_any_call_of_a_roll_back(self, call: int, *, lands: bool) -> None:
        """From the first failed task to a fresh certificate that is proven."""
        world = failing()
        bad = world.current

        went_back_and_on(Story(world, KilledAfter(call, lands=lands)).tell())

        assert world.quarantined == bad

    @pytest.mark.parametrize("call", numbers(LAST_OF_ORDER))
    def test_at_any_call_of_an_order_to_renew(self, call: int, *, lands: bool) -> None:
        """The order comes again, and is one order."""
        world = proven_for_a_day()

        rotated_once(Story(world, KilledAfter(call, lands=lands), "renew").tell())

    @pytest.mark.parametrize("call", numbers(LAST_OF_ORDER_TO_ROLL_BACK))
    def test_at_any_call_of_an_order_to_roll_back(self, call: int, *, lands: bool) -> None:
        """A proven version is left for the one before it, once; a fresh one follows."""
        world = renewed_on_order()
        left = world.current

        went_back_and_on(Story(world, KilledAfter(call, lands=lands), "rollback").tell())

        assert world.quarantined == left

    @pytest.mark.parametrize("call", numbers(LAST_OF_COMPROMISE))
    def test_at_any_call_of_an_order_about_a_compromised_key(self, call: int, *, lands: bool) -> None:
        """Both certificates of before are revoked, whoever was killed; one new one takes their place."""
        world = leaked()

        left_its_keys(Story(world, KilledAfter(call, lands=lands), "compromised").tell())

        assert len(world.acm.revoked) == 2
        told = [entry for entry in world.audit.entries if entry.action in {"compromised", "revoke"}]
        assert told[0].action == "compromised"
        assert all(any(serial in entry.why for entry in told[1:]) for serial in world.acm.revoked)


@pytest.mark.parametrize(
    ("world", "order", "last"),
    [
        (due, "", LAST_OF_ROTATION),
        (failing, "", LAST_OF_ROLL_BACK),
        (proven_for_a_day, "renew", LAST_OF_ORDER),
        (renewed_on_order, "rollback", LAST_OF_ORDER_TO_ROLL_BACK),
        (leaked, "compromised", LAST_OF_COMPROMISE),
    ],
)
def test_the_numbers_cover_every_call(world: Callable[[], World], order: str, last: int) -> None:
    """The last number of each table is just beyond the last call of its story."""
    killed = KilledAfter(BEYOND, lands=True)

    Story(world(), killed, order).tell()

    assert killed.calls < last <= killed.calls + 10


@pytest.mark.parametrize("lands", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("seed", range(20))
class TestThrottled:
    """R1: 30 of 100 calls fail after the SDK's retries; nothing is done twice for that."""

    def test_r1_through_a_rotation(self, seed: int, *, lands: bool) -> None:
        """The end and the counts are those of a calm day."""
        throttled = Throttled(seed, 0.3, lands=lands)

        rotated_once(Story(due(), throttled).tell())

        assert throttled.throttled > 10

    def test_r1_through_a_roll_back(self, seed: int, *, lands: bool) -> None:
        """The same."""
        went_back_and_on(Story(failing(), Throttled(seed, 0.3, lands=lands)).tell())

    def test_through_an_order_about_a_compromised_key(self, seed: int, *, lands: bool) -> None:
        """The same."""
        left_its_keys(Story(leaked(), Throttled(seed, 0.3, lands=lands), "compromised").tell())


class TestTwice:
    """A message is delivered twice, the second time at any moment of the first one's run."""

    @pytest.mark.parametrize("call", numbers(LAST_OF_ROTATION))
    def test_at_any_call_of_a_rotation(self, call: int) -> None:
        """One of them works."""
        world = due()

        rotated_once(Story(world, Meanwhile(call, world.look)).tell())

    @pytest.mark.parametrize("call", numbers(LAST_OF_ROLL_BACK))
    def test_at_any_call_of_a_roll_back(self, call: int) -> None:
        """The same."""
        world = failing()

        went_back_and_on(Story(world, Meanwhile(call, world.look)).tell())

    @pytest.mark.parametrize("call", numbers(LAST_OF_COMPROMISE))
    def test_at_any_call_of_an_order_about_a_compromised_key(self, call: int) -> None:
        """The same message, and another look: what is revoked is revoked once."""
        world = leaked()

        left_its_keys(Story(world, Meanwhile(call, world.look), "compromised").tell())

    @pytest.mark.parametrize("call", numbers(LAST_OF_ROTATION))
    def test_after_a_lease_that_was_too_short(self, call: int) -> None:
        """A run that hangs at any call until another has taken over: it writes nothing over what the other did."""
        world = due()

        def hang() -> None:
            world.pass_time(10 * MINUTE)
            with contextlib.suppress(MeshcertError):
                world.look()

        world = Story(world, Meanwhile(call, hang)).tell()

        assert world.served == {world.issued} == {world.last_good}
        assert (len(world.acm.serial_numbers), world.versions) == (2, 2)
        assert world.table.rows[IDENTITY.name].owner == ""
        assert SEED_VERSION not in world.vault.labels(SECRET)
