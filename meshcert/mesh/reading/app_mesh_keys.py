"""
Keys and nesting as App Mesh writes them: ``portMapping``, ``virtualNode: {virtualNodeName: ...}``.

The model decides what is a key, so names that people chose are never touched. Faults keep the places as they were
written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_origin

from meshcert.errors import Fault
from meshcert.mesh.reading.source import place_of
from meshcert.mesh.reading.translation import as_part, bare, below, fields

if TYPE_CHECKING:
    from pydantic import BaseModel

Parts = tuple[str | int, ...]
_NAMED = ("virtual_node", "virtual_router", "virtual_service")
"""What App Mesh names one level further down: ``virtualNode: {virtualNodeName: NAME}``."""


@dataclass
class PlainKeys:
    """
    A file's values with the model's keys.

    Args:
        values: The values.
        faults: Keys that are written in both ways, at the places as written.
        written: Where the places are in the file whose keys are others there.
    """

    values: Any = None
    faults: list[Fault] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)

    def as_written(self, fault: Fault) -> Fault:
        """A fault with its place as the file has it."""
        place, rest = fault.place, ""
        while place and place not in self.written:
            cut = max(place.rfind("."), place.rfind("["), 0)
            place, rest = place[:cut], place[cut:] + rest
        return fault._replace(place=self.written[place] + rest) if place else fault


def plain_keys(values: Any, root: type[BaseModel]) -> PlainKeys:
    """Values with each key that App Mesh writes in another way as the model has it."""
    plain = PlainKeys()
    plain.values = _below(values, root, (), (), plain)
    return plain


def _below(value: Any, annotation: Any, parts: Parts, written: Parts, plain: PlainKeys) -> Any:
    part = as_part(annotation)
    if part and isinstance(value, dict):
        result: dict[str, Any] = {}
        _add(value, part, result, (parts, written), plain)
        return result
    if isinstance(value, dict) and get_origin(bare(annotation)) is dict:
        inner = below(annotation, "")
        return {key: _below(each, inner, (*parts, key), (*written, key), plain) for key, each in value.items()}
    if isinstance(value, list) and get_origin(bare(annotation)) is tuple:
        inner = below(annotation, 0)
        return [_below(each, inner, (*parts, n), (*written, n), plain) for n, each in enumerate(value)]
    return value


def _add(
    value: dict[str, Any], part: type[BaseModel], result: dict[str, Any], at: tuple[Parts, Parts], plain: PlainKeys
) -> None:
    """Add the keys of a mapping to the part that they say something of."""
    known = fields(part)
    parts, around = at
    for key, said in value.items():
        name = key if key in known or snake_case(key) not in known else snake_case(key)
        each, written = said, (*around, key)
        if name in known and (named := _named_below(name, said)):
            each, written = said[named], (*written, named)
            beside = {other: its for other, its in said.items() if other != named}
            _add(beside, part, result, (parts, (*around, key)), plain)
        if name in result:
            problem = f"the key is written twice, as {name} too" if key != name else "the key is written twice"
            plain.faults.append(Fault(place_of(written), problem, "Keep one of them"))
            continue
        place = (*parts, name)
        if place_of(place) != place_of(written):
            plain.written[place_of(place)] = place_of(written)
        annotation = known[name].annotation if name in known else None
        result[name] = _below(each, annotation, place, written, plain)


def _named_below(name: str, value: Any) -> str:
    """The key of a mapping that has the name which the model has instead of the mapping; empty if there is none."""
    if name not in _NAMED or not isinstance(value, dict):
        return ""
    return next((key for key in value if snake_case(key) == f"{name}_name"), "")


def snake_case(key: str) -> str:
    """``weightedTargets`` as ``weighted_targets``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
