"""
Where each party of a mesh stands in the picture, and which way each call takes. The same mesh gives the same picture.

Callers stand left of those they call, in columns by call depth; a call that skips a column passes between its parties.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BOX_HEIGHT = 46.0
"""All lengths are pixels."""
MARGIN = 16.0
_GAP = 18.0
_PASS = 12.0
"""Height that a passing call takes in a column."""
_BETWEEN = 120.0
"""From one column to the next."""
_LETTER = 8.0
_NARROWEST, _WIDEST = 112.0, 232.0
_SWEEPS = 12
_ENTERED, _LEFT = 1, 2
"""Of a party, while calls are followed: whether the calls behind it are still being followed."""
_SPREAD = 26.0
"""Height of a box's side along which its calls leave or arrive."""


class Box(NamedTuple):
    """The place of a party: its upper left corner and its width."""

    x: float
    y: float
    width: float


class Way(NamedTuple):
    """
    The line of a call, from caller to callee.

    Args:
        points: Through which it goes, each horizontally.
        label: Where a text about it may stand.
    """

    points: tuple[tuple[float, float], ...]
    label: tuple[float, float]


class Placement(NamedTuple):
    """
    A picture that is ready to draw.

    Args:
        boxes: By party.
        ways: In the order of the calls.
    """

    boxes: dict[str, Box]
    ways: tuple[Way, ...]
    width: float
    height: float


class _Spot(NamedTuple):
    """A party in its column; or where the call with this number passes a column."""

    party: str
    call: int = -1
    column: int = -1


def lay_out(labels: Mapping[str, str], calls: Sequence[tuple[str, str]]) -> Placement:
    """
    Place the parties.

    Args:
        labels: The longest text on each party, in the order in which they are to stand where nothing else decides.
        calls: Caller and callee of each call.
    """
    depth = _depths(list(labels), calls)
    chains = [_chain(number, caller, callee, depth) for number, (caller, callee) in enumerate(calls)]
    columns: list[list[_Spot]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for party in labels:
        columns[depth[party]].append(_Spot(party))
    for spot in (spot for chain in chains for spot in chain if spot.call >= 0):
        columns[spot.column].append(spot)
    links = [link for chain in chains for link in pairwise(chain)]
    columns = _ordered(columns, links)
    middles = _middles(columns, links)
    boxes: dict[str, Box] = {}
    edges: list[tuple[float, float]] = []
    x = MARGIN
    for column in columns:
        parties = [spot.party for spot in column if spot.call < 0]
        width = max((min(max(len(labels[each]) * _LETTER + 28, _NARROWEST), _WIDEST) for each in parties), default=0.0)
        for party in parties:
            boxes[party] = Box(x, middles[_Spot(party)] - BOX_HEIGHT / 2, width)
        edges.append((x, x + width))
        x += width + _BETWEEN
    height = max((box.y + BOX_HEIGHT for box in boxes.values()), default=0.0)
    height = max([height, *middles.values()]) + MARGIN
    ways = _ways(calls, chains, middles, edges, depth)
    return Placement(boxes, ways, max(x - _BETWEEN, 0.0) + MARGIN, height)


def _depths(parties: Sequence[str], calls: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Column of each party: behind all that call it; a call that would close a circle does not count."""
    callees: dict[str, list[str]] = {party: [] for party in parties}
    for caller, callee in calls:
        callees[caller].append(callee)
    called = {callee for caller, callee in calls if caller != callee}
    order: list[str] = []
    state: dict[str, int] = {}
    forward: dict[str, list[str]] = {party: [] for party in parties}
    for root in sorted(parties, key=lambda each: each in called):
        stack = [(root, iter(callees[root]))] if root not in state else []
        state.setdefault(root, _ENTERED)
        while stack:
            party, left = stack[-1]
            onward = next(left, None)
            if onward is None:
                state[party] = _LEFT
                order.append(party)
                stack.pop()
            elif state.get(onward) != _ENTERED:
                forward[party].append(onward)
                if onward not in state:
                    state[onward] = _ENTERED
                    stack.append((onward, iter(callees[onward])))
    depth = dict.fromkeys(parties, 0)
    for party in reversed(order):
        for callee in forward[party]:
            depth[callee] = max(depth[callee], depth[party] + 1)
    return depth


def _chain(number: int, caller: str, callee: str, depth: Mapping[str, int]) -> list[_Spot]:
    """The spots of a call, from left to right, whoever calls."""
    left, right = (caller, callee) if depth[caller] <= depth[callee] else (callee, caller)
    passes = [_Spot("", number, column) for column in range(depth[left] + 1, depth[right])]
    return [_Spot(left), *passes, _Spot(right)]


def _ordered(columns: list[list[_Spot]], links: Iterable[tuple[_Spot, _Spot]]) -> list[list[_Spot]]:
    """The columns in an order with few crossings: each spot beside the mean of its neighbours, sweep after sweep."""
    before: dict[_Spot, list[_Spot]] = {}
    behind: dict[_Spot, list[_Spot]] = {}
    for left, right in links:
        behind.setdefault(left, []).append(right)
        before.setdefault(right, []).append(left)
    best, fewest = columns, _crossings(columns, behind)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        columns = [list(column) for column in columns]
        rank = {spot: float(index) for column in columns for index, spot in enumerate(column)}
        for number in range(len(columns)) if forwards else reversed(range(len(columns))):
            beside = before if forwards else behind
            wanted = {
                spot: sum(rank[each] for each in beside[spot]) / len(beside[spot]) if spot in beside else rank[spot]
                for spot in columns[number]
            }
            columns[number].sort(key=wanted.__getitem__)
            rank |= {spot: float(index) for index, spot in enumerate(columns[number])}
        crossings = _crossings(columns, behind)
        if crossings < fewest:
            best, fewest = columns, crossings
    return best


def _crossings(columns: Iterable[Sequence[_Spot]], behind: Mapping[_Spot, Sequence[_Spot]]) -> int:
    rank = {spot: index for column in columns for index, spot in enumerate(column)}
    count = 0
    for column in columns:
        ends = [sorted(rank[right] for right in behind.get(spot, ())) for spot in column]
        above: list[int] = []
        for each in ends:
            count += sum(1 for end in each for other in above if other > end)
            above += each
    return count


def _middles(columns: Sequence[Sequence[_Spot]], links: Iterable[tuple[_Spot, _Spot]]) -> dict[_Spot, float]:
    """The height at which the middle of each spot stands: near the mean of its neighbours, in the column's order."""
    beside: dict[_Spot, list[_Spot]] = {}
    for left, right in links:
        beside.setdefault(left, []).append(right)
        beside.setdefault(right, []).append(left)
    middles: dict[_Spot, float] = {}
    for column in columns:
        middles |= _apart(column, [0.0] * len(column))
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            near = [beside.get(spot, [spot]) for spot in column]
            middles |= _apart(column, [sum(middles[each] for each in spots) / len(spots) for spots in near])
    top = min((middle - _height(spot) / 2 for spot, middle in middles.items()), default=0.0)
    return {spot: middle - top + MARGIN for spot, middle in middles.items()}


def _apart(column: Sequence[_Spot], wanted: Sequence[float]) -> dict[_Spot, float]:
    """
    Heights as near to the wanted ones as the column's order and its distances let them be.

    Least squares under an order: neighbours that want to pass each other become a block (pool adjacent violators).
    """
    offsets, offset = [0.0], 0.0
    for upper, lower in pairwise(column):
        offset += (_height(upper) + _height(lower)) / 2 + _GAP
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for want, shift in zip(wanted, offsets, strict=False):
        mean, size = want - shift, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean = (mean * size + other * others) / (size + others)
            size += others
        blocks.append((mean, size))
    means = [mean for mean, size in blocks for _ in range(size)]
    return {spot: mean + shift for spot, mean, shift in zip(column, means, offsets, strict=False)}


def _height(spot: _Spot) -> float:
    return BOX_HEIGHT if spot.call < 0 else _PASS


def _ways(
    calls: Sequence[tuple[str, str]],
    chains: Sequence[Sequence[_Spot]],
    middles: Mapping[_Spot, float],
    edges: Sequence[tuple[float, float]],
    depth: Mapping[str, int],
) -> tuple[Way, ...]:
    leaving = _spread([(chain[0], middles[chain[1]], number) for number, chain in enumerate(chains)])
    arriving = _spread([(chain[-1], middles[chain[-2]], number) for number, chain in enumerate(chains)])
    ways = []
    for number, chain in enumerate(chains):
        points = [(edges[depth[chain[0].party]][1], middles[chain[0]] + leaving[number])]
        for spot in chain[1:-1]:
            left, right = edges[spot.column]
            points += [(left, middles[spot]), (right, middles[spot])]
        points.append((edges[depth[chain[-1].party]][0], middles[chain[-1]] + arriving[number]))
        if chain[0].party != calls[number][0]:
            points.reverse()
        (x0, y0), (x1, y1) = points[-2:]
        ways.append(Way(tuple(points), ((x0 + x1) / 2, (y0 + y1) / 2)))
    return tuple(ways)


def _spread(ends: Iterable[tuple[_Spot, float, int]]) -> dict[int, float]:
    """How far from the middle of its box's side each call begins or ends: in the order of their other ends."""
    at: dict[_Spot, list[tuple[float, int]]] = {}
    for spot, other, number in ends:
        at.setdefault(spot, []).append((other, number))
    return {
        number: (index - (len(found) - 1) / 2) * min(8.0, _SPREAD / len(found))
        for found in at.values()
        for index, (_, number) in enumerate(sorted(found))
    }
