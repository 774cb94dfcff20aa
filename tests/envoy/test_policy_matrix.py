"""Client policies before listeners, in two real Envoys: who is called how, who is authenticated, and who is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import memory_folder
from evidence.policies.envoys import Seen, observe
from evidence.policies.matrix import Cell, expected, pairwise_cover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COVER = pairwise_cover()


@pytest.fixture(scope="module")
def seen(image: Path, new_address: Callable[[], str]) -> dict[Cell, Seen]:
    """One request in each cell."""
    with memory_folder() as folder:
        return observe(image, folder, new_address, COVER)


@pytest.mark.parametrize("cell", COVER, ids=str)
def test_a_request_is_answered_or_refused_as_app_mesh_would_have(seen: dict[Cell, Seen], cell: Cell) -> None:
    """Every two values of different dimensions meet here; all cells are run by the soak."""
    assert seen[cell].shows(expected(cell)), (str(expected(cell)), seen[cell])
