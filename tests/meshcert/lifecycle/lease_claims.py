"""What the table ``lifecycle`` promises, and what the one in memory and DynamoDB's must agree on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from meshcert.errors import LeaseLost
from meshcert.lifecycle.memory import Memory, Quarantine

if TYPE_CHECKING:
    from meshcert.clock import Clock
    from meshcert.lifecycle.ports import LifecycleTable

LEASE = dt.timedelta(seconds=135)
HOUR = dt.timedelta(hours=1)


def remembering(reason: str, at: dt.datetime) -> Memory:
    """A memory that can be told from others."""
    return Memory(quarantine=Quarantine("v" * 64, reason, at))


class LeaseClaims:
    """A base class: run it by giving the fixtures ``table``, empty, and ``clock``, whose time only has to be sane."""

    def test_who_takes_a_lease_has_an_empty_memory_at_first(self, table: LifecycleTable, clock: Clock) -> None:
        """The row is made by its first look."""
        now = clock.now()

        lease = table.take("colorteller", "one", now, now + LEASE)

        assert lease is not None
        assert (lease.identity, lease.owner, lease.wanted, lease.memory) == ("colorteller", "one", 0, Memory())

    def test_nobody_else_gets_a_lease_that_is_taken(self, table: LifecycleTable, clock: Clock) -> None:
        """One works at a time; other identities are nobody's concern."""
        now = clock.now()
        table.take("colorteller", "one", now, now + LEASE)

        assert table.take("colorteller", "two", now, now + LEASE) is None
        assert table.take("colorgateway", "two", now, now + LEASE) is not None

    def test_its_owner_may_take_it_again(self, table: LifecycleTable, clock: Clock) -> None:
        """A message that comes back to the same run finds its own lease, and that one lasts longer."""
        now = clock.now()
        table.take("colorteller", "one", now, now + LEASE)

        assert table.take("colorteller", "one", now + LEASE / 2, now + LEASE * 2) is not None
        assert table.take("colorteller", "two", now + LEASE * 1.5, now + LEASE * 3) is None

    def test_who_takes_a_lease_has_looked_since(self, table: LifecycleTable, clock: Clock) -> None:
        """From the moment it is taken, also when it is given back; at no later time, and at none before the first."""
        now, second = clock.now(), dt.timedelta(seconds=1)
        assert not table.looked_since("colorteller", now - HOUR)

        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None
        held = table.looked_since("colorteller", now), table.looked_since("colorteller", now + second)
        table.release(lease, Memory(), None)

        assert held == (True, False)
        assert table.looked_since("colorteller", now - second)
        assert not table.looked_since("colorteller", now + second)
        assert not table.looked_since("colorgateway", now - HOUR)

    def test_an_expired_lease_passes_on(self, table: LifecycleTable, clock: Clock) -> None:
        """Whoever was killed holds nobody up for longer than the lease."""
        now = clock.now()
        table.take("colorteller", "killed", now, now + LEASE)

        assert table.take("colorteller", "two", now + LEASE, now + LEASE * 2) is not None

    def test_a_lease_that_was_given_back_is_free(self, table: LifecycleTable, clock: Clock) -> None:
        """And what was remembered comes with it, whole."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None

        table.release(lease, remembering("first", now), None)
        again = table.take("colorteller", "two", now, now + LEASE)

        assert again is not None
        assert again.memory == remembering("first", now)

    def test_what_is_saved_survives_a_run_that_was_killed(self, table: LifecycleTable, clock: Clock) -> None:
        """Saving does not wait for the end."""
        now = clock.now()
        lease = table.take("colorteller", "killed", now, now + LEASE)
        assert lease is not None

        table.save(lease, remembering("saved", now))
        again = table.take("colorteller", "two", now + LEASE, now + LEASE * 2)

        assert again is not None
        assert again.memory == remembering("saved", now)

    def test_who_lost_the_lease_writes_nothing_more(self, table: LifecycleTable, clock: Clock) -> None:
        """Saving, giving back and forgetting all say so, and the other's memory stays."""
        now = clock.now()
        slow = table.take("colorteller", "slow", now, now + LEASE)
        other = table.take("colorteller", "other", now + LEASE, now + LEASE * 2)
        assert slow is not None
        assert other is not None
        table.save(other, remembering("the other's", now))

        with pytest.raises(LeaseLost, match="colorteller"):
            table.save(slow, remembering("too late", now))
        with pytest.raises(LeaseLost, match="colorteller"):
            table.release(slow, remembering("too late", now), None)
        with pytest.raises(LeaseLost, match="colorteller"):
            table.forget(slow)
        again = table.take("colorteller", "other", now + LEASE, now + LEASE * 2)
        assert again is not None
        assert again.memory == remembering("the other's", now)

    def test_a_settled_identity_is_not_looked_at(self, table: LifecycleTable, clock: Clock) -> None:
        """Ticks leave it alone, however late."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None

        assert table.release(lease, Memory(), None) is False
        assert list(table.unsettled(now + 24 * HOUR)) == []

    def test_an_unsettled_identity_is_looked_at_when_it_is_time(self, table: LifecycleTable, clock: Clock) -> None:
        """Not before, and every tick from then on."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None

        table.release(lease, Memory(), now + HOUR)

        assert list(table.unsettled(now + HOUR - LEASE)) == []
        assert list(table.unsettled(now + HOUR)) == ["colorteller"]
        assert list(table.unsettled(now + 24 * HOUR)) == ["colorteller"]

    def test_a_run_that_was_killed_leaves_the_identity_unsettled(self, table: LifecycleTable, clock: Clock) -> None:
        """The first tick after the end of its lease looks, even if the identity was settled before."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None
        table.release(lease, Memory(), None)

        table.take("colorteller", "killed", now, now + LEASE)

        assert list(table.unsettled(now + LEASE)) == ["colorteller"]

    def test_a_fact_that_arrives_while_the_lease_is_taken_is_not_lost(
        self, table: LifecycleTable, clock: Clock
    ) -> None:
        """The owner had observed before it: the identity stays unsettled although the owner calls it settled."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None

        table.want("colorteller", now)

        assert table.release(lease, remembering("kept", now), None) is True
        assert list(table.unsettled(now + HOUR)) == ["colorteller"]
        again = table.take("colorteller", "two", now, now + LEASE)
        assert again is not None
        assert again.memory == remembering("kept", now)

    def test_a_fact_is_not_put_off_until_the_owner_would_look_again(self, table: LifecycleTable, clock: Clock) -> None:
        """The owner's own time is later than the next tick."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None

        table.want("colorteller", now)

        assert table.release(lease, Memory(), now + 24 * HOUR) is True
        assert list(table.unsettled(now + HOUR)) == ["colorteller"]

    def test_a_fact_that_arrives_just_after_the_release_is_not_lost(self, table: LifecycleTable, clock: Clock) -> None:
        """Who found the lease taken may come to say so only when it has been given back."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None
        table.release(lease, Memory(), None)

        table.want("colorteller", now)

        assert list(table.unsettled(now)) == ["colorteller"]

    def test_the_look_that_was_wanted_settles_the_identity(self, table: LifecycleTable, clock: Clock) -> None:
        """Being wanted once is one more look, not one for ever."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None
        table.want("colorteller", now)
        table.release(lease, Memory(), None)

        again = table.take("colorteller", "two", now, now + LEASE)
        assert again is not None

        assert again.wanted == 1
        assert table.release(again, Memory(), None) is False
        assert list(table.unsettled(now + HOUR)) == []

    def test_those_due_longest_come_first(self, table: LifecycleTable, clock: Clock) -> None:
        """A tick that has time for some only takes those that have waited longest."""
        now = clock.now()
        for name, hours in (("late", 3), ("early", 1), ("middle", 2)):
            lease = table.take(name, "one", now, now + LEASE)
            assert lease is not None
            table.release(lease, Memory(), now + hours * HOUR)

        assert list(table.unsettled(now + 4 * HOUR)) == ["early", "middle", "late"]

    def test_every_unsettled_identity_is_seen(self, table: LifecycleTable, clock: Clock) -> None:
        """More of them than one answer holds (R26 has 5,000 of them, in memory)."""
        now = clock.now()
        names = {f"identity-{number:03d}" for number in range(60)}
        for name in names:
            table.want(name, now)

        assert set(table.unsettled(now)) == names

    def test_a_forgotten_identity_is_gone(self, table: LifecycleTable, clock: Clock) -> None:
        """Its mark too; should it be declared again, it begins anew."""
        now = clock.now()
        lease = table.take("colorteller", "one", now, now + LEASE)
        assert lease is not None
        table.save(lease, remembering("gone", now))

        table.forget(lease)

        assert list(table.unsettled(now + 24 * HOUR)) == []
        again = table.take("colorteller", "two", now, now + LEASE)
        assert again is not None
        assert again.memory == Memory()
