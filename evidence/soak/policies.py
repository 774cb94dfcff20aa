"""Every client policy before every listener, in real Envoys."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from evidence.fixtures.addresses import loopback_addresses
from evidence.fixtures.container import installed_envoy, lay_out_image, memory_folder
from evidence.policies.checking import misjudged
from evidence.policies.envoys import faults, observe
from evidence.policies.matrix import CELLS
from evidence.soak.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE = 120
"""Cells in one pair of Envoys: more settings than these do not fit into a variable (Linux: 128 KiB)."""


def try_all_policies(say: Callable[[str], object]) -> Outcome:
    """
    Ask once in each cell, and ask ``meshcert check`` about its mesh file.

    Args:
        say: Takes a line about each pair of Envoys.
    """
    found: dict[str, tuple[str, ...]] = {}
    addresses = loopback_addresses()
    with memory_folder() as folder:
        image = lay_out_image(folder / "image", installed_envoy())
        for begun in range(0, len(CELLS), _AT_ONCE):
            cells = CELLS[begun : begun + _AT_ONCE]
            # A container that ends shows its log, which is of use where a test has failed.
            with memory_folder() as own, redirect_stdout(io.StringIO()):
                wrong = faults(observe(image, own, lambda: next(addresses), cells))
            wrong |= {f"check: {cell}": (words,) for cell in cells if (words := misjudged(cell))}
            say(f"{begun + len(cells)} of {len(CELLS)}: {len(wrong)} not as expected")
            found |= wrong
    return Outcome(n=len(CELLS), faults=found)
