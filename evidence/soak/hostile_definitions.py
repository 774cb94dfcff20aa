"""Spoiled definitions of App Mesh: an import never ends in a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence.fixtures.hostile_definitions import definitions
from evidence.soak.hostile_input import spoil_readers

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.soak.report import Outcome

INPUTS = 100_000
"""Definitions, over all forms."""


def spoil_definitions(say: Callable[[str], object], seed: int) -> Outcome:
    """
    Spoil definitions, byte by byte and part by part.

    Args:
        say: Takes a line about each reader.
        seed: Of the choice of inputs.
    """
    return spoil_readers([(definitions(), INPUTS)], say, seed)
