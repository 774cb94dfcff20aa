"""The layout of the picture: where each room stands, and through which points its arrows go."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tools.rooms.reading import SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.rooms.floors import Arrow, RoomGraph

FLOOR = 92  # from one floor to the next; all lengths are pixels
BOX_HEIGHT = 46
MARGIN = 28
TITLE = 84
_GAP = 22
_LETTER = 7.4  # an average letter of the names
_ROUNDS = 60
_STRAIGHT = 6  # how much stronger than others the part of an arrow between two floors wants to be upright
_LANES = ("stacks", "lambdas", "meshcert", "envoy-image")


class Spot(NamedTuple):
    """A room, or the point at which arrows to a room further down cross a floor."""

    room: str
    floor: int
    crossing: bool


@dataclass(frozen=True)
class Layout:
    """
    A graph that is ready to draw.

    Args:
        labels: The text on each room.
        centres: The middle of each room, x and y.
        ways: The points of each arrow, from the lower edge of a room to the upper edge of another. One that points up
            leaves at the upper edge and arrives at the lower.
        width: Width of the whole picture.
        height: Height of the whole picture.
    """

    labels: Mapping[str, str]
    centres: Mapping[str, tuple[float, float]]
    widths: Mapping[str, float]
    ways: Mapping[Arrow, Sequence[tuple[float, float]]]
    width: float
    height: float


def lay_out(graph: RoomGraph) -> Layout:
    """Place the rooms: short arrows, few crossings, and a lane for each part of the product."""
    floor_of = {name: floor for floor, names in enumerate(graph.floors) for name in names}
    labels = {name: _label(name) for name in floor_of}
    widths = {name: max(136.0, len(label) * _LETTER + 24) for name, label in labels.items()}
    down = {arrow: _chain(arrow, floor_of) for arrow in graph.direct() if arrow not in graph.upward}
    links = sorted({link for chain in down.values() for link in pairwise(chain)})
    rooms = {Spot(name, floor, crossing=False) for name, floor in floor_of.items()}
    spots = sorted(rooms | {spot for link in links for spot in link})
    x = _columns(graph, spots, links, widths)
    left = min(x[spot] - _width(spot, widths) / 2 for spot in spots) - MARGIN
    right = max(x[spot] + _width(spot, widths) / 2 for spot in spots) + MARGIN
    points = {spot: (x[spot] - left, TITLE + spot.floor * FLOOR + BOX_HEIGHT / 2) for spot in spots}
    centres = {spot.room: points[spot] for spot in sorted(rooms)}
    height = TITLE + (len(graph.floors) - 1) * FLOOR + BOX_HEIGHT + MARGIN
    return Layout(labels, centres, widths, _ways(graph, down, points, widths), right - left, height)


def _label(name: str) -> str:
    """A room's name without the part of the path that its colour shows."""
    source = next(source for source in SOURCES if name.startswith(source))
    return name.removeprefix(source).lstrip("/: ") or name


def _chain(arrow: Arrow, floor_of: Mapping[str, int]) -> list[Spot]:
    """The spots of an arrow, one on each floor; arrows to the same room cross a floor at the same spot."""
    start, end = arrow
    between = range(floor_of[start] + 1, floor_of[end])
    crossings = [Spot(end, floor, crossing=True) for floor in between]
    return [Spot(start, floor_of[start], crossing=False), *crossings, Spot(end, floor_of[end], crossing=False)]


def _width(spot: Spot, widths: Mapping[str, float]) -> float:
    return 0.0 if spot.crossing else widths[spot.room]


def _columns(
    graph: RoomGraph, spots: Sequence[Spot], links: Sequence[tuple[Spot, Spot]], widths: Mapping[str, float]
) -> dict[Spot, float]:
    """The x of each spot, moved repeatedly towards the middle of its neighbours as far as the floor has room."""
    around: dict[Spot, list[Spot]] = {spot: [] for spot in spots}
    for above, below in links:
        pull = _STRAIGHT if above.crossing and below.crossing else 1
        around[above] += [below] * pull
        around[below] += [above] * pull
    floors = [[spot for spot in spots if spot.floor == floor] for floor in range(len(graph.floors))]
    x = {spot: 260.0 * _lane(graph, spot) for spot in spots}
    for turn in range(_ROUNDS):
        for floor in floors if turn % 2 else reversed(floors):
            wish = {
                spot: sum(x[other] for other in around[spot]) / len(around[spot]) if around[spot] else x[spot]
                for spot in floor
            }
            if turn < _ROUNDS // 2:
                floor.sort(key=lambda spot: (_lane(graph, spot), wish[spot], spot))
            x.update(_apart(floor, wish, widths))
    return x


def _lane(graph: RoomGraph, spot: Spot) -> int:
    return _LANES.index(graph.rooms[spot.room].source)


def _apart(order: Sequence[Spot], wish: Mapping[Spot, float], widths: Mapping[str, float]) -> dict[Spot, float]:
    """Positions near the wished ones, in this order and with gaps: the mean of moving right and moving left."""
    rightwards: dict[Spot, float] = {}
    for before, spot in zip([None, *order], order, strict=False):
        least = rightwards[before] + _distance(before, spot, widths) if before else wish[spot]
        rightwards[spot] = max(wish[spot], least)
    leftwards: dict[Spot, float] = {}
    for after, spot in zip([None, *reversed(order)], reversed(order), strict=False):
        most = leftwards[after] - _distance(spot, after, widths) if after else wish[spot]
        leftwards[spot] = min(wish[spot], most)
    return {spot: (rightwards[spot] + leftwards[spot]) / 2 for spot in order}


def _distance(left: Spot, right: Spot, widths: Mapping[str, float]) -> float:
    return (_width(left, widths) + _width(right, widths)) / 2 + _GAP


def _ways(
    graph: RoomGraph,
    down: Mapping[Arrow, Sequence[Spot]],
    points: Mapping[Spot, tuple[float, float]],
    widths: Mapping[str, float],
) -> dict[Arrow, list[tuple[float, float]]]:
    """The points of every arrow."""
    half = BOX_HEIGHT / 2
    centres = {spot.room: point for spot, point in points.items() if not spot.crossing}
    ways = {}
    for (start, end), chain in down.items():
        crossings = [points[spot] for spot in chain[1:-1]]
        inner = [point for x, y in crossings for point in ((x, y - half), (x, y + half))]
        first = _edge(centres[start], widths[start], inner[0] if inner else centres[end], half)
        last = _edge(centres[end], widths[end], inner[-1] if inner else centres[start], -half)
        ways[start, end] = [first, *inner, last]
    for start, end in sorted(graph.upward):
        up = -1 if centres[end][1] < centres[start][1] else 1
        first = _edge(centres[start], widths[start], centres[end], up * half)
        last = _edge(centres[end], widths[end], centres[start], -up * half)
        ways[start, end] = [first, last]
    return ways


def _edge(centre: tuple[float, float], width: float, towards: tuple[float, float], dy: float) -> tuple[float, float]:
    """The point at which an arrow touches a room's edge, a little towards its other end."""
    reach = width * 0.36
    return centre[0] + max(-reach, min(reach, (towards[0] - centre[0]) * 0.3)), centre[1] + dy
