"""
A specification in App Mesh's own words and types, however it was written; and each field of it told.

CloudFormation writes keys in Pascal case, the API and Kubernetes in camel case, and people in any: keys are compared
without case. What comes out has no key that is not in :data:`~meshcert.appmesh.fields.kinds.FIELDS`, and every value
has its field's type, or is :class:`~meshcert.appmesh.resources.Unset`; fields may be missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.fields.field import AppMeshField, ValueKind
from meshcert.appmesh.fields.kinds import FIELDS
from meshcert.appmesh.report import AS_IT_WAS, Fate
from meshcert.appmesh.resources import MeshResource, ResourceKind, Unset
from meshcert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.appmesh.report import ImportReport

LONGEST_TEXT = 2048
"""Of a value: App Mesh's longest is an ARN, or a virtual service's name of 255 characters."""
LARGEST = 2**31 - 1
MOST_ITEMS = 1000
"""Of a list: a virtual node had 50 backends unless AWS raised its quota."""
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_UNITS = {"s": 1.0, "ms": 0.001}
_INTEGER = re.compile(r"\s*[0-9]{1,10}(\.0)?\s*", re.ASCII)
_MISSING = object()


@dataclass
class _Shape:
    """A part of a specification: its fields by their names in lower case, or one field."""

    name: str = ""
    parts: dict[str, _Shape] = field(default_factory=dict)
    is_list: bool = False
    leaf: AppMeshField | None = None


def canonical(resource: MeshResource, report: ImportReport) -> dict[str, Any]:
    """The specification of a resource; what becomes of each of its fields goes into the report."""
    read = _Specification(resource, report).part(_shape(resource.kind), resource.spec, "")
    return read if isinstance(read, dict) else {}


@cache
def _shape(kind: ResourceKind) -> _Shape:
    root = _Shape()
    for each in FIELDS[kind]:
        around = root
        for step in each.path.split("."):
            name = step.removesuffix("[]")
            around = around.parts.setdefault(name.lower(), _Shape(name))
            around.is_list = around.is_list or step.endswith("[]")
        around.leaf = each
    return root


@dataclass
class _Specification:
    resource: MeshResource
    report: ImportReport

    def part(self, shape: _Shape, raw: Any, path: str) -> Any:
        """What is written at a place, or :data:`_MISSING`."""
        if raw is None:
            return _MISSING
        if shape.leaf and shape.leaf.kind is ValueKind.TREE:
            if raw not in ({}, []):
                self._tell(shape.leaf)
            return _MISSING
        if shape.is_list:
            return self._list(shape, raw, path)
        return self._one(shape, raw, path)

    def _list(self, shape: _Shape, raw: Any, path: str) -> Any:
        if isinstance(raw, Unset) and not (shape.leaf and shape.leaf.kind is ValueKind.TEXT):
            return self._unset(raw, path)
        if not isinstance(raw, list):
            self.report.tell(
                Fate.CHANGED, path, "it is a list, and one item is written as it stands", str(self.resource)
            )
            raw = [raw]
        if len(raw) > MOST_ITEMS:
            self._strange(path, f"it has {len(raw)} items, and {MOST_ITEMS} are read")
        items = (self._one(shape, item, path) for item in raw[:MOST_ITEMS] if item is not None)
        return [item for item in items if item is not _MISSING]

    def _one(self, shape: _Shape, raw: Any, path: str) -> Any:
        if shape.leaf:
            value = self._value(shape.leaf, raw, path)
            if value is not _MISSING:
                self._tell(shape.leaf)
            return value
        if isinstance(raw, Unset):
            return self._unset(raw, path)
        if not isinstance(raw, dict):
            return self._strange(path, f"expected a part with {', '.join(s.name for s in shape.parts.values())}")
        found: dict[str, Any] = {}
        for key, value in raw.items():
            inner = shape.parts.get(str(key).lower())
            name = f"{path}.{inner.name if inner else printable(str(key))[:80]}".removeprefix(".")
            if inner is None:
                if value is not None:
                    self._strange(name, "App Mesh has no such field there")
            elif inner.name in found:
                self._strange(name, "it is written twice, in upper and lower case; the first counts")
            elif (read := self.part(inner, value, name)) is not _MISSING:
                found[inner.name] = read
        return found

    def _value(self, leaf: AppMeshField, raw: Any, path: str) -> Any:
        if leaf.kind is ValueKind.DURATION:
            return self._duration(raw, path)
        if isinstance(raw, Unset):
            return raw
        read = None if isinstance(raw, dict | list) else _READERS[leaf.kind](raw)
        return self._strange(path, f"expected {leaf.kind}") if read is None else read

    def _duration(self, raw: Any, path: str) -> Any:
        if isinstance(raw, Unset):
            return raw
        parts = {str(key).lower(): value for key, value in raw.items()} if isinstance(raw, dict) else {}
        unit, value = parts.get("unit"), parts.get("value")
        if isinstance(unit, Unset) or isinstance(value, Unset):
            names = tuple(name for each in (value, unit) if isinstance(each, Unset) for name in each.names)
            return Unset(f"{value} {unit}", names)
        number, seconds = _whole(value), _UNITS.get(str(unit).lower())
        if number is None or seconds is None:
            return self._strange(path, "expected {unit: s or ms, value: a whole number}")
        return float(number) if seconds == 1.0 else round(number * seconds, 3)

    def _tell(self, leaf: AppMeshField) -> None:
        self.report.tell(leaf.fate, leaf.path, leaf.note or f"{AS_IT_WAS}{leaf.becomes}", str(self.resource))

    def _strange(self, path: str, problem: str) -> Any:
        self.report.tell(Fate.LOST, path or "spec", problem, str(self.resource))
        return _MISSING

    def _unset(self, raw: Unset, path: str) -> Any:
        self.report.ask(
            path or "spec",
            f"{raw} stands for a whole part of it: what does it hold?",
            str(self.resource),
            "Fill the template in and import the result, or write the part into the mesh file",
        )
        return _MISSING


def _text(raw: Any) -> str | None:
    text = str(raw).lower() if isinstance(raw, bool) else str(raw)
    return text if len(text) <= LONGEST_TEXT else None


def _flag(raw: Any) -> bool | None:
    return _FLAGS.get(str(raw).lower().rstrip(","))


def _whole(raw: Any) -> int | None:
    if isinstance(raw, bool) or not _INTEGER.fullmatch(str(raw)):
        return None
    number = int(float(str(raw)))
    return number if number <= LARGEST else None


_READERS: dict[ValueKind, Callable[[Any], Any]] = {
    ValueKind.TEXT: _text,
    ValueKind.FLAG: _flag,
    ValueKind.WHOLE: _whole,
}
"""A value of each kind, or None if it is none."""
