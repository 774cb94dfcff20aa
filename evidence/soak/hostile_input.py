"""Spoiled input for everything that reads what others wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence.fixtures.hostile_credentials import credentials
from evidence.fixtures.hostile_input import checks, parsers, spoil
from evidence.fixtures.hostile_messages import answers, messages
from evidence.fixtures.hostile_requests import requests
from evidence.fixtures.hostile_rows import rows
from evidence.fixtures.hostile_settings import packed
from evidence.soak.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evidence.fixtures.hostile_input import Reader

PARSED, CHECKED = 1_000_000, 20_000
"""Inputs for all parsers together, and for those that do more: rows with what is made of them, the pre-flight."""
_BATCH = 5_000
"""Inputs a call of hypothesis, which remembers every one of them."""


def spoil_all(say: Callable[[str], object], seed: int) -> Outcome:
    """
    Spoil the input of every reader.

    Args:
        say: Takes a line about each reader.
        seed: Of the choice of inputs.
    """
    parsed = [*parsers(), *messages(), *answers(), *credentials(), *packed(), *requests()]
    every = [(parsed, PARSED), ([*rows(), *checks()], CHECKED)]
    return spoil_readers(every, say, seed)


def spoil_readers(every: Sequence[tuple[Sequence[Reader], int]], say: Callable[[str], object], seed: int) -> Outcome:
    """
    Spoil the input of some readers.

    Args:
        every: Readers, and the number of inputs for all of them together.
        say: Takes a line about each reader.
        seed: Of the choice of inputs.
    """
    faults: dict[str, tuple[str, ...]] = {}
    read: dict[str, int] = {}
    for readers, inputs in every:
        for reader in readers:
            read[reader.name], fault = _spoil(reader, -(-inputs // len(readers)), seed)
            say(f"{reader.name}: {read[reader.name]} inputs: {fault or 'good'}")
            if fault:
                faults[reader.name] = (fault,)
    return Outcome(n=sum(read.values()), faults=faults, figures={"inputs": read})


def _spoil(reader: Reader, inputs: int, seed: int) -> tuple[int, str]:
    read = 0
    for batch in _batches(inputs):
        try:
            read += spoil(reader, batch, seed=seed + read)
        except Exception as error:  # noqa: BLE001 -- any error but those it promises is what is looked for
            return read, "; ".join([*_said(error), *getattr(error, "__notes__", ())])[:1000]
    return read, ""


def _said(error: BaseException) -> Iterator[str]:
    """Hypothesis wraps an error that it cannot repeat."""
    yield f"{type(error).__name__}: {error}"
    for inner in getattr(error, "exceptions", ()):
        yield from _said(inner)


def _batches(inputs: int) -> Sequence[int]:
    return [min(_BATCH, inputs - begun) for begun in range(0, inputs, _BATCH)]
