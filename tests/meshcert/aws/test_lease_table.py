"""The table of leases on the local DynamoDB."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.errors import IdentityMissing, LeaseLost
from meshcert.lifecycle.memory import Memory
from tests.local.aws.tables import new_lifecycle_table
from tests.meshcert.lifecycle.lease_claims import LeaseClaims
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from local.running_aws import LocalAws
    from meshcert.lifecycle.ports import Lease

T0 = dt.datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=dt.UTC)
MEMORY = Memory(looked_at=T0)


def after(seconds: float) -> dt.datetime:
    """So long after the tests' time."""
    return T0 + dt.timedelta(seconds=seconds)


@pytest.fixture
def table(aws: LocalAws) -> Any:
    """A new table, as boto3 has it."""
    return new_lifecycle_table(aws)


@pytest.fixture
def rows(table: Any) -> LifecycleRows:
    """The adapter."""
    return LifecycleRows(table)


def taken(rows: LifecycleRows, name: str = "teller", owner: str = "one") -> Lease:
    """A lease of 100 seconds, which nobody else has."""
    lease = rows.take(name, owner, T0, after(100))
    assert lease is not None
    return lease


class TestLeasesOnLocalAws(LeaseClaims):
    """The claims, on the local DynamoDB."""

    @pytest.fixture
    def table(self, aws: LocalAws) -> LifecycleRows:
        """An empty table."""
        return LifecycleRows(new_lifecycle_table(aws))

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Time of the test's own."""
        return FakeClock()


class TestRows:
    """What the rows look like, and rows that somebody else wrote."""

    def test_a_row_is_as_the_contract_says(self, table: Any, rows: LifecycleRows) -> None:
        """Epoch seconds; the mark and the lease go when the identity is settled."""
        lease = taken(rows)
        rows.save(lease, MEMORY)
        held = table.get_item(Key={"name": "teller"})["Item"]

        rows.release(lease, MEMORY, None)

        memory = MEMORY.to_json()
        assert {name: str(value) for name, value in held.items()} == {
            "name": "teller",
            "owner": "one",
            "until": "1795348900.123456",
            "began": "1795348800.123456",
            "unsettled": "yes",
            "look_at": "1795348900.123456",
            "memory": memory,
        }
        assert table.get_item(Key={"name": "teller"})["Item"] == {
            "name": "teller",
            "began": held["began"],
            "memory": memory,
        }

    def test_a_release_takes_one_call_and_two_if_somebody_wanted_the_lease(
        self, table: Any, rows: LifecycleRows
    ) -> None:
        """At 1,000 identities every call of a sweep counts."""
        calls: list[str] = []
        table.meta.client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
        lease = taken(rows)
        calls.clear()

        rows.release(lease, MEMORY, None)
        assert calls == ["UpdateItem"]
        lease = taken(rows)
        rows.want("teller", after(1))
        calls.clear()
        rows.release(lease, MEMORY, None)
        assert calls == ["UpdateItem", "UpdateItem"]

    def test_the_memory_can_be_read_without_the_lease(self, rows: LifecycleRows) -> None:
        """Empty for an identity that was never looked at."""
        lease = taken(rows)
        assert rows.memory("teller") == Memory()

        rows.save(lease, MEMORY)

        assert rows.memory("teller") == MEMORY
        assert rows.memory("gateway") == Memory()

    @pytest.mark.parametrize(
        "odd",
        [
            {"owner": "other", "until": "tomorrow"},
            {"owner": "other"},
            {"owner": 1, "until": 1},
            {"memory": {"looked_at": ""}},
            {"memory": '{"schema":99}'},
            {"memory": "not JSON"},
            {"memory": "[]"},
            {"wanted": "often"},
            {"wanted": 7},
        ],
    )
    def test_a_row_of_odd_types_is_taken_used_and_given_back(
        self, table: Any, rows: LifecycleRows, odd: dict[str, Any]
    ) -> None:
        """Nothing that stands in a row keeps an identity from being looked at; what cannot be read is forgotten."""
        table.put_item(Item={"name": "teller", **odd})

        lease = taken(rows)
        assert lease.memory == Memory()
        rows.save(lease, MEMORY)
        rows.release(lease, MEMORY, None)

        again = taken(rows, owner="two")
        assert again.memory == MEMORY

    @pytest.mark.parametrize("odd", [{}, {"wanted": "often"}, {"wanted": 7}])
    def test_whoever_wants_a_row_of_odd_types_is_not_forgotten(
        self, table: Any, rows: LifecycleRows, odd: dict[str, Any]
    ) -> None:
        """The count begins again where it was no number."""
        table.put_item(Item={"name": "teller", **odd})
        lease = taken(rows)

        rows.want("teller", after(1))
        rows.release(lease, MEMORY, None)

        assert list(rows.unsettled(after(1))) == ["teller"]

    def test_a_lease_that_was_wanted_at_the_last_moment_is_looked_at(self, rows: LifecycleRows) -> None:
        """The one who wanted it found it taken, and its owner was faster to give it back."""
        lease = taken(rows)
        assert rows.take("teller", "two", T0, after(100)) is None
        rows.release(lease, MEMORY, None)

        rows.want("teller", after(1))

        assert list(rows.unsettled(after(1))) == ["teller"]

    def test_a_look_that_was_wanted_does_not_wait_for_a_later_one(self, rows: LifecycleRows) -> None:
        """The owner would look again in an hour; whoever wanted the lease has something to show now."""
        lease = taken(rows)
        rows.want("teller", after(1))

        rows.release(lease, MEMORY, after(3600))

        assert list(rows.unsettled(after(2))) == ["teller"]

    def test_an_owner_that_ends_without_a_word_is_followed_after_its_lease(self, rows: LifecycleRows) -> None:
        """The mark that came with the lease is due when the lease ends."""
        taken(rows)

        assert list(rows.unsettled(after(99))) == []
        assert list(rows.unsettled(after(100))) == ["teller"]

    def test_unsettled_identities_are_told_page_by_page_the_longest_due_first(
        self, table: Any, rows: LifecycleRows
    ) -> None:
        """More than one answer of DynamoDB holds."""
        for number in range(25):
            lease = taken(rows, f"i{number:02}")
            rows.release(lease, Memory(), after(25 - number))
        answers: list[int] = []
        events = table.meta.client.meta.events
        events.register("before-parameter-build.dynamodb.Query", lambda params, **_: params.update(Limit=10))
        events.register("after-call.dynamodb.Query", lambda parsed, **_: answers.append(parsed["Count"]))

        found = list(rows.unsettled(after(22)))

        assert found == [f"i{number:02}" for number in range(24, 2, -1)]
        # The last one is about those that are only due.
        assert answers == [10, 10, 2, 0]

    def test_what_is_only_due_comes_after_what_is_unsettled_and_not_before_its_time(self, rows: LifecycleRows) -> None:
        """A settled identity waits for its moment, and no tick before it finds the identity."""
        for name, seconds, settled in (("due", 5, True), ("unsettled", 20, False), ("later", 40, True)):
            rows.release(taken(rows, name), Memory(), after(seconds), settled=settled)

        assert list(rows.unsettled(after(30))) == ["unsettled", "due"]
        assert list(rows.unsettled(after(50))) == ["unsettled", "due", "later"]

    def test_a_table_that_is_not_there_is_named(self, table: Any, rows: LifecycleRows) -> None:
        """The message tells how it comes back."""
        table.delete()

        with pytest.raises(IdentityMissing, match="Deploy the stacks again"):
            rows.take("teller", "one", T0, after(100))

    def test_who_lost_the_lease_writes_nothing(self, table: Any, rows: LifecycleRows) -> None:
        """Neither memory nor the end of the lease; the row is the new owner's."""
        lost = taken(rows)
        assert rows.take("teller", "two", after(100), after(200)) is not None
        before = table.get_item(Key={"name": "teller"})["Item"]

        with pytest.raises(LeaseLost):
            rows.save(lost, MEMORY)
        for look_at in (None, after(1)):
            with pytest.raises(LeaseLost):
                rows.release(replace(lost, wanted=9), MEMORY, look_at)
        with pytest.raises(LeaseLost):
            rows.forget(lost)

        assert table.get_item(Key={"name": "teller"})["Item"] == before
