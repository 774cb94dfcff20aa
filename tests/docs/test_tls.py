"""``docs/tls.md`` has the policy matrix: what App Mesh's rules say, and what is run in real Envoys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence.policies.matrix import CELLS, DIMENSIONS, Cell, Names, expected
from tests.docs.pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

PAGE = "docs/tls.md"
HEAD = """\
| listener's `tls` | client policy | listener's certificate | caller's certificate | names | what becomes of a request |
|---|---|---|---|---|---|
"""


def table() -> str:
    """The matrix, with a row for all cells that differ only where it does not matter."""
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in _rows(CELLS, 0))


def _rows(cells: Sequence[Cell], dimension: int) -> tuple[tuple[str, ...], ...]:
    """The rows of these cells, from this dimension on; values with the same rows behind them stand together."""
    results = {expected(cell) for cell in cells}
    left = len(DIMENSIONS) - dimension
    if len(results) == 1:
        return ((*("any",) * left, results.pop()),)
    alike: dict[tuple[tuple[str, ...], ...], list[StrEnum]] = {}
    for value in DIMENSIONS[dimension]:
        behind = _rows([cell for cell in cells if cell[dimension] == value], dimension + 1)
        alike.setdefault(behind, []).append(value)
    return tuple((_said(values, DIMENSIONS[dimension]), *row) for behind, values in alike.items() for row in behind)


def _said(values: Sequence[StrEnum], every: Sequence[StrEnum]) -> str:
    rest = [value for value in every if value not in values]
    if len(rest) == 1 and len(values) > len(rest) + 1:
        return f"any but {rest[0]}"
    return ", ".join(values) if rest else "any"


def test_the_page_has_what_becomes_of_a_request_in_each_cell() -> None:
    """Whoever writes the page anew prints ``table()``."""
    assert table() in PAGES[PAGE], table()


def test_the_page_says_what_each_kind_of_names_is() -> None:
    """A word of the table that is not explained says nothing."""
    assert [name for name in Names if f"- **{name}**: " not in PAGES[PAGE]] == []
