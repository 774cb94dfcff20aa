"""The table of bundle fetches."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from meshcert.aws.tables.bundle_fetches import BundleFetches
from meshcert.federation.ports import FetchNote

T0 = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
NOTE = FetchNote("partner.example", T0, T0 + dt.timedelta(hours=1), T0, 600, 2**62, "v" * 64, "BundleWentBack")


class Table:
    """A table that keeps numbers as DynamoDB does."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def put_item(self, **call: Any) -> None:
        """PutItem."""
        item = call["Item"]
        kept = {name: Decimal(value) if isinstance(value, int) else value for name, value in item.items()}
        self.rows[item["trust_domain"]] = kept

    def get_item(self, **call: Any) -> dict[str, Any]:
        """GetItem."""
        assert call["ConsistentRead"]
        row = self.rows.get(call["Key"]["trust_domain"])
        return {"Item": row} if row else {}


@pytest.mark.parametrize("note", [NOTE, FetchNote("partner.example", T0, T0)], ids=["full", "new"])
def test_a_note_is_read_back(note: FetchNote) -> None:
    """With a number of 63 bits."""
    fetches = BundleFetches(Table())
    assert fetches.find("partner.example") is None

    fetches.write(note)

    assert fetches.find("partner.example") == note


SPOILED: dict[str, dict[str, Any]] = {
    "no-time": {"since": None},
    "text": {"looked_at": "yesterday"},
    "far": {"fetched_at": Decimal(10**15)},
    "fraction": {"refresh_hint_s": "NaN"},
    "missing": {"version": ...},
}


@pytest.mark.parametrize("change", SPOILED.values(), ids=SPOILED)
def test_a_row_that_makes_no_sense_begins_anew(change: dict[str, Any]) -> None:
    """The secret knows the number of what is believed."""
    table = Table()
    BundleFetches(table).write(NOTE)
    row = table.rows["partner.example"]
    table.rows["partner.example"] = {k: v for k, v in {**row, **change}.items() if v is not ...}

    assert BundleFetches(table).find("partner.example") is None
