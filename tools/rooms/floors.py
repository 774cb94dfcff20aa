"""Put the files into rooms, and the rooms onto floors: a room stands above the rooms that it imports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tools.rooms.reading import File

Arrow = tuple[str, str]

# Drawn as one room with their subfolders, one for each handler, AWS service or kind of check.
WHOLE = ("lambdas", "meshcert/aws", "meshcert/mesh")


@dataclass(frozen=True)
class Room:
    """
    A folder, or the loose files on one floor of a folder that contains rooms.

    Args:
        name: The folder's path, and the loose files' names if it is not the whole folder.
        source: The folder at the top of the repository that it belongs to.
    """

    name: str
    source: str
    files: int
    lines: int


@dataclass(frozen=True)
class RoomGraph:
    """
    The rooms and the arrows between them.

    Args:
        floors: Names of the rooms on each floor, the top floor first.
        arrows: How many imports lead from a room to another.
        upward: The arrows that close a circle and therefore cannot point down.
    """

    rooms: Mapping[str, Room]
    floors: list[list[str]]
    arrows: Mapping[Arrow, int]
    upward: frozenset[Arrow]

    def direct(self) -> list[Arrow]:
        """The arrows to draw; one that only repeats a longer way down is left out."""
        down = [arrow for arrow in self.arrows if arrow not in self.upward]
        below = _below(down)
        implied = {
            (start, end)
            for start, end in down
            if any(end in below[between] for first, between in down if first == start)
        }
        return sorted(arrow for arrow in self.arrows if arrow not in implied)


def build(files: Collection[File]) -> RoomGraph:
    """Put these files into rooms, and the rooms onto floors."""
    # Loose files get floors of their own first; the ones that share a floor become a room.
    places = _places(files)
    arrows = _between(files, places)
    upward = _closing(arrows)
    heights = _heights(places.values(), [arrow for arrow in arrows if arrow not in upward])
    rooms = _rooms(files, places, heights)
    home = {path: room.name for room, paths in rooms for path in paths}
    arrows = _between(files, home)
    upward = _closing(arrows)
    named = {room.name: room for room, _ in rooms}
    down = [arrow for arrow in arrows if arrow not in upward]
    heights = _raised(_heights(named, down), down)
    floors = [
        sorted(name for name, height in heights.items() if height == floor)
        for floor in range(max(heights.values(), default=-1), -1, -1)
    ]
    return RoomGraph(named, floors, dict(sorted(arrows.items())), upward)


def _places(files: Iterable[File]) -> dict[str, str]:
    """For each file its folder, or the file itself where it lies beside rooms."""
    folders = {path: _whole(folder) for path, folder in ((file.path, file.folder) for file in files)}
    parents = {folder.rpartition("/")[0] for folder in folders.values()}
    return {path: path if folder in parents else folder for path, folder in folders.items()}


def _whole(folder: str) -> str:
    return next((whole for whole in WHOLE if f"{folder}/".startswith(f"{whole}/")), folder)


def _rooms(
    files: Iterable[File], places: Mapping[str, str], heights: Mapping[str, int]
) -> list[tuple[Room, list[str]]]:
    """The rooms, each with the paths of its files."""
    together: dict[tuple[str, int | None], list[File]] = {}
    for file in files:
        place = places[file.path]
        loose = place == file.path
        if loose and file.stem == "__init__" and not file.imports:
            continue  # it holds a docstring
        together.setdefault((file.folder, heights[place]) if loose else (place, None), []).append(file)
    rooms = []
    for (folder, height), inside in sorted(together.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
        names = ", ".join(file.stem for file in inside)
        name = folder if height is None else f"{folder}: {names}"
        source = folder.split("/")[0]
        rooms.append(
            (Room(name, source, len(inside), sum(file.lines for file in inside)), [file.path for file in inside])
        )
    return rooms


def _between(files: Iterable[File], places: Mapping[str, str]) -> Counter[Arrow]:
    """The number of imports from each place to another, counted in pairs of files."""
    pairs = ((places.get(file.path), places.get(path)) for file in files for path in file.imports)
    return Counter((start, end) for start, end in pairs if start and end and start != end)


def _closing(arrows: Mapping[Arrow, int]) -> frozenset[Arrow]:
    """The arrows whose removal breaks every circle: in each circle, the one with the fewest imports."""
    closing: set[Arrow] = set()
    while True:
        left = [arrow for arrow in arrows if arrow not in closing]
        below = _below(left)
        circling = [(arrows[arrow], arrow) for arrow in left if arrow[0] in below[arrow[1]]]
        if not circling:
            return frozenset(closing)
        closing.add(min(circling)[1])


def _below(arrows: Collection[Arrow]) -> dict[str, set[str]]:
    """For each room, the rooms that can be reached from it along arrows."""
    below: dict[str, set[str]] = {end: set() for arrow in arrows for end in arrow}
    before = -1
    while before != (size := sum(map(len, below.values()))):
        before = size
        for start, end in arrows:
            below[start] |= {end} | below[end]
    return below


def _heights(places: Iterable[str], arrows: Collection[Arrow]) -> dict[str, int]:
    """The floor of each place: one above the highest that it leads to. There must be no circle."""
    heights = dict.fromkeys(sorted(set(places)), 0)
    changed = True
    while changed:
        changed = False
        for start, end in arrows:
            if heights[start] <= heights[end]:
                heights[start] = heights[end] + 1
                changed = True
    return heights


def _raised(heights: Mapping[str, int], arrows: Collection[Arrow]) -> dict[str, int]:
    """The same floors, with a room moved up to just below its importers unless more arrows pull it down."""
    raised = dict(heights)
    for name in sorted(heights, key=lambda name: (-heights[name], name)):
        above = [raised[start] for start, end in arrows if end == name]
        draws_down = sum(start == name for start, _ in arrows)
        if above and len(above) >= draws_down:
            raised[name] = min(above) - 1
    return raised
