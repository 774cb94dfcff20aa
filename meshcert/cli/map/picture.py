"""The picture of a mesh as SVG: a box for each party, a line for each call."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from meshcert.cli.map.layout import BOX_HEIGHT, lay_out
from meshcert.cli.map.markup import Markup, element, joined
from meshcert.mesh.edges.edges import PartyKind
from meshcert.mesh.edges.pairs import Manner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshcert.cli.map.layout import Box, Way
    from meshcert.mesh.edges.edges import Edge, Party

STYLES = {Manner.MUTUAL: "mutual", Manner.ONE_WAY: "one-way", Manner.PLAIN: "plain"}
"""The class of a call's line, by the manner in which its parties talk."""
_LONGEST = 26


def picture(parties: Sequence[Party], edges: Sequence[Edge]) -> Markup:
    """The picture, in its natural size; each box is a link that a keyboard reaches."""
    notes = {party.name: _note(party) for party in parties}
    labels = {party.name: max(_cut(party.name), notes[party.name], key=len) for party in parties}
    placed = lay_out(labels, [(edge.caller.name, edge.callee.name) for edge in edges])
    lines = [_line(number, edge, way) for number, (edge, way) in enumerate(zip(edges, placed.ways, strict=True))]
    words = [_words(number, edge, way) for number, (edge, way) in enumerate(zip(edges, placed.ways, strict=True))]
    boxes = [_box(party, placed.boxes[party.name], notes[party.name], edges) for party in parties]
    return element(
        "svg",
        {
            "id": "picture",
            "viewBox": f"0 0 {placed.width:.0f} {placed.height:.0f}",
            "width": placed.width,
            "height": placed.height,
            "role": "group",
            "aria-label": "Who calls whom. The table of calls says the same in words",
        },
        element("defs", None, *(_arrow(style) for style in STYLES.values())),
        element("g", {"aria-hidden": "true"}, *lines, *words),
        joined(boxes),
    )


def swatch(manner: Manner) -> Markup:
    """A short line in the style of a manner, for the legend and for tables."""
    line = element("path", {"class": f"line {STYLES[manner]}", "d": "M1 6H39"})
    return element("svg", {"class": "swatch", "viewBox": "0 0 40 12", "aria-hidden": "true"}, line)


def _box(party: Party, box: Box, note: str, edges: Sequence[Edge]) -> Markup:
    callers = [edge.caller.name for edge in edges if edge.callee == party]
    callees = [edge.callee.name for edge in edges if edge.caller == party]
    kind = party.kind.name.lower()
    said = f"{party.name}, {party.kind}. Called by {_listed(callers)}. Calls {_listed(callees)}."
    middle = box.x + box.width / 2
    return element(
        "a",
        {"class": f"box {kind}", "href": "#calls", "data-name": party.name, "aria-label": said},
        element("title", None, f"{party.name}, {party.kind}: {', '.join(party.listens) or 'no listener'}"),
        element("rect", {"x": box.x, "y": box.y, "width": box.width, "height": BOX_HEIGHT, "rx": 9}),
        element("text", {"class": "name", "x": middle, "y": box.y + 20}, _cut(party.name)),
        element("text", {"class": "note", "x": middle, "y": box.y + 36}, note),
    )


def _note(party: Party) -> str:
    """The line below the name: what it listens on, or what it is."""
    if party.tasks == 0:
        return "no tasks"
    if party.kind is PartyKind.CLIENT:
        return "outside the mesh"
    if party.kind is PartyKind.HOST:
        return _cut(", ".join(party.listens))
    protocols = dict.fromkeys(each.split()[1] for each in party.listens)
    ports = "/".join(each.split()[0] for each in party.listens)
    return _cut(f"{ports} {'/'.join(protocols)}")


def _line(number: int, edge: Edge, way: Way) -> Markup:
    style = STYLES[edge.manner]
    return element("path", {"id": f"line-{number}", "class": f"line {style}", "d": _path(way), **_ends(edge, style)})


def _ends(edge: Edge, style: str) -> Mapping[str, object]:
    return {"marker-end": f"url(#arrow-{style})", "data-caller": edge.caller.name, "data-callee": edge.callee.name}


def _words(number: int, edge: Edge, way: Way) -> Markup:
    """What is less than mutual TLS says so beside its line."""
    if edge.authenticated:
        return Markup()
    x, y = way.label
    where = {"x": x, "y": y + 4, "class": f"words {STYLES[edge.manner]}", "data-line": f"line-{number}"}
    return element("text", where, str(edge.manner))


def _path(way: Way) -> str:
    (x, y), *_ = way.points
    parts = [f"M{x:.1f} {y:.1f}"]
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(way.points)):
        if number % 2:
            parts.append(f"H{x1:.1f}")
        else:
            middle = (x0 + x1) / 2
            parts.append(f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
    return "".join(parts)


def _arrow(style: str) -> Markup:
    return element(
        "marker",
        {
            "id": f"arrow-{style}",
            "class": f"arrow {style}",
            "viewBox": "0 0 10 10",
            "refX": 9,
            "refY": 5,
            "markerWidth": 9,
            "markerHeight": 9,
            "markerUnits": "userSpaceOnUse",
            "orient": "auto",
        },
        element("path", {"d": "M1 1 9 5 1 9z"}),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "nobody"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
