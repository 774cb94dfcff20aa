"""The picture of the rooms as an SVG, and as text."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from tools.rooms.layout import BOX_HEIGHT, MARGIN, Layout, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.rooms.floors import Arrow, Room, RoomGraph

# Fill and edge for each folder at the top of the repository.
_COLOURS = {
    "stacks": ("#fff1d6", "#c98a1b"),
    "lambdas": ("#e2f3e4", "#3f8f4f"),
    "meshcert": ("#e3edfb", "#3b6fb6"),
    "envoy-image": ("#f1e6f8", "#8651a8"),
}
_ROUND = 100  # lines
_STYLE = """
text { font: 13px "Segoe UI", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; fill: #1f2933; text-anchor: middle }
.title { font-size: 18px; font-weight: 600; text-anchor: start }
.note, .key { text-anchor: start; fill: #52606d; font-size: 12px }
.name { font-weight: 600 }
.size { font-size: 11px; fill: #52606d }
.down, .up { fill: none; stroke-width: 1.3 }
.up { stroke: #d12f2f; stroke-width: 2 }
.down { stroke-opacity: .62 }
"""


def draw(graph: RoomGraph) -> str:
    """The graph as an SVG; the same graph gives the same bytes."""
    layout = lay_out(graph)
    arrows = graph.direct()
    size = f'width="{layout.width:.0f}" height="{layout.height:.0f}"'
    view = f'viewBox="0 0 {layout.width:.0f} {layout.height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {view} {size} role="img" aria-label="The rooms of meshcert">',
        f"<style>{_STYLE}</style>",
        "<defs>",
        *(_head(source, edge) for source, (_, edge) in _COLOURS.items()),
        _head("up", "#d12f2f"),
        "</defs>",
        f'<rect {size} rx="10" fill="#fff"/>',
        f'<text class="title" x="{MARGIN}" y="34">The rooms, each above what it imports</text>',
        *_key(graph),
        *(_arrow(graph, layout, arrow) for arrow in arrows if arrow not in graph.upward),
        *(_box(graph.rooms[name], layout) for floor in graph.floors for name in floor),
        *(_arrow(graph, layout, arrow) for arrow in arrows if arrow in graph.upward),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def write(graph: RoomGraph) -> str:
    """The graph as text: its floors, and under each room the rooms that it imports directly."""
    lines = []
    for number, names in zip(range(len(graph.floors), 0, -1), graph.floors, strict=True):
        lines.append(f"floor {number}")
        for name in names:
            lines.append(f"  {name} ({_size(graph.rooms[name])})")
            lines += [f"    {_mark(graph, arrow)} {arrow[1]}" for arrow in graph.direct() if arrow[0] == name]
    drawn, implied = len(graph.direct()), len(graph.arrows) - len(graph.direct())
    counts = f"{len(graph.rooms)} rooms, {drawn} arrows drawn, {len(graph.upward)} of them up"
    lines.append(f"{counts}; {implied} more that a longer way down tells already")
    return "\n".join(lines) + "\n"


def _size(room: Room) -> str:
    """Files and lines; the lines are rounded, so that a small change of code does not change the picture."""
    files = "1 file" if room.files == 1 else f"{room.files} files"
    lines = f"{round(room.lines, -2):,}" if room.lines >= _ROUND else f"< {_ROUND}"
    return f"{files}, {lines} lines"


def _mark(graph: RoomGraph, arrow: Arrow) -> str:
    return "UP" if arrow in graph.upward else "->"


def _key(graph: RoomGraph) -> list[str]:
    """The legend: the colour of each folder, and what is not drawn."""
    lines, x = [], float(MARGIN)
    for source, (fill, edge) in _COLOURS.items():
        if any(room.source == source for room in graph.rooms.values()):
            lines.append(f'<rect x="{x:.0f}" y="48" width="14" height="14" rx="3" fill="{fill}" stroke="{edge}"/>')
            lines.append(f'<text class="key" x="{x + 20:.0f}" y="60">{source}</text>')
            x += 44 + 7 * len(source)
    note = "An arrow that a longer way down already tells is left out. Red points up: it closes a circle."
    return [*lines, f'<text class="note" x="{x:.0f}" y="60">{note}</text>']


def _head(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0.8 7.5 4 0 7.2z" fill="{colour}"/></marker>'
    )


def _box(room: Room, layout: Layout) -> str:
    x, y = layout.centres[room.name]
    width = layout.widths[room.name]
    fill, edge = _COLOURS[room.source]
    dashes = ' stroke-dasharray="4 3"' if ": " in room.name else ""
    return (
        f"<g><title>{escape(room.name)}</title>"
        f'<rect x="{x - width / 2:.1f}" y="{y - BOX_HEIGHT / 2:.1f}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="6" '
        f'fill="{fill}" stroke="{edge}"{dashes}/>'
        f'<text class="name" x="{x:.1f}" y="{y - 3:.1f}">{escape(layout.labels[room.name])}</text>'
        f'<text class="size" x="{x:.1f}" y="{y + 14:.1f}">{escape(_size(room))}</text></g>'
    )


def _arrow(graph: RoomGraph, layout: Layout, arrow: Arrow) -> str:
    start, end = arrow
    up = arrow in graph.upward
    source = graph.rooms[start].source
    look = 'class="up"' if up else f'class="down" stroke="{_COLOURS[source][1]}"'
    imports = graph.arrows[arrow]
    return (
        f'<path {look} marker-end="url(#{"up" if up else source})" d="{_curve(layout.ways[arrow])}">'
        f"<title>{escape(f'{start} → {end}')}: {imports} import{'s' * (imports != 1)}</title></path>"
    )


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A curve through all points, vertical at each of them."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = (y2 - y1) / 2
        path += f"C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    return path
