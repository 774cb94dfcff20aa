"""Interleaved rounds and the arithmetic on what they give: no clock and no process is touched here."""

from __future__ import annotations

import random
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Measured = TypeVar("Measured")
Name = TypeVar("Name")


class Spread(NamedTuple):
    """
    Several measurements of one thing.

    Args:
        median: The middle one.
        least: The smallest.
        most: The largest.
    """

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """
    Median and extremes.

    Raises:
        ValueError: If there are no values.
    """
    return Spread(median(values), min(values), max(values))


def ratio(values: Sequence[float], floor: Sequence[float]) -> Spread:
    """
    How many times the floor: the spread of the ratios taken round by round.

    Both values of a pair come from the same round, seconds apart, so a machine that is slower for a while slows both.

    Args:
        values: One value a round.
        floor: What each is compared with, from the same rounds.

    Raises:
        ValueError: If the two do not come from the same rounds, or from none.
    """
    return spread([value / least for value, least in zip(values, floor, strict=True)])


def interleave(
    names: Sequence[Name],
    rounds: int,
    measure: Callable[[Name], Measured],
    on_round: Callable[[int], object] = int,
) -> dict[Name, list[Measured]]:
    """
    Measure everything once a round, in a new order each time; one more round before the first warms up and is dropped.

    Args:
        names: What to measure.
        rounds: How many rounds count.
        measure: Measures one of them.
        on_round: Told the number of rounds that are done, the warm-up counted as 0.

    Returns:
        The measurements of each name, in the order of the rounds.
    """
    order = random.Random(rounds)
    measured: dict[Name, list[Measured]] = {name: [] for name in names}
    for done in range(rounds + 1):
        for name in order.sample(names, len(names)):
            value = measure(name)
            if done:
                measured[name].append(value)
        on_round(done)
    return measured
