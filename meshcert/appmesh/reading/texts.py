"""
Read JSON and YAML that others wrote into plain values, bounded before it is trusted.

Plain scalars of YAML stay texts: what a field holds is known when it is known which field it is. A tag of
CloudFormation becomes the function that it stands for, ``!Ref X`` for example ``{"Ref": "X"}``.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import yaml

from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.printable import printable

MOST_BYTES = 4 << 20
"""Of a file: a template of CloudFormation has 1 MB at most."""
MOST_VALUES = 200_000
"""Of a file, each alias counted as what it stands for."""
DEEPEST = 48
"""Levels of lists and mappings; App Mesh's own specifications have ten."""
MOST_DOCUMENTS = 2_000

_NULLS = ("", "~", "null", "Null", "NULL")
_PLAIN_TAGS = {"!Ref": "Ref", "!Condition": "Condition"}


class SourceInvalid(ValueError):
    """A text that is neither JSON nor YAML, or more than is read; its message says what and where."""


class _Open(NamedTuple):
    """A list or mapping whose end is not reached; of a mapping also the key that waits for its value."""

    value: Any
    anchor: str | None
    tag: str | None
    key: list[Any]
    size: list[int]


def read_text(text: str) -> list[Any]:
    """
    The documents in a text: one of JSON, or any number of YAML.

    Raises:
        SourceInvalid: If it cannot be read.
    """
    if text.lstrip()[:1] in {"{", "["}:
        try:
            value = read_json(text, MOST_BYTES)
        except JsonInvalid:
            # Flow style of YAML: JSON with comments or a comma too many is read as well.
            return _read_yaml(text)
        if len(json.dumps(value)) > MOST_BYTES:
            raise SourceInvalid("it holds too much")
        return [value]
    return _read_yaml(text)


def _read_yaml(text: str) -> list[Any]:
    try:
        return _Builder().documents(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SourceInvalid(f"{where}it is neither JSON nor YAML: {printable(str(problem))}") from None
    except (ValueError, RecursionError) as error:
        raise SourceInvalid(str(error) if isinstance(error, SourceInvalid) else "it is not text") from None


class _Builder:
    """Builds values from libyaml's events, without recursion."""

    def __init__(self) -> None:
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._open: list[_Open] = []
        self._documents: list[Any] = []
        self._values = 0

    def documents(self, text: str) -> list[Any]:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                if len(self._documents) >= MOST_DOCUMENTS:
                    raise SourceInvalid(f"it has more than {MOST_DOCUMENTS} documents")
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(self._open) >= DEEPEST:
                    raise SourceInvalid(f"it is nested more than {DEEPEST} levels deep")
                value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
                self._open.append(_Open(value, event.anchor, event.tag, [], [1, 1]))
            elif isinstance(event, yaml.CollectionEndEvent):
                ended = self._open.pop()
                self._put(_tagged(ended.tag, ended.value), ended.anchor, *ended.size)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self._anchors:
                    raise SourceInvalid("an alias stands before its anchor, or inside of it")
                self._put(self._anchors[event.anchor][0], None, *self._anchors[event.anchor][1:])
            elif isinstance(event, yaml.ScalarEvent):
                is_null = event.implicit[0] and event.value in _NULLS and event.tag is None
                self._put(_tagged(event.tag, None if is_null else event.value), event.anchor, 1, 0)
        return self._documents

    def _put(self, value: Any, anchor: str | None, size: int, levels: int) -> None:
        if anchor:
            self._anchors[anchor] = (value, size, levels)
        if not self._open:
            self._documents.append(value)
            return
        around = self._open[-1]
        around.size[0] += size
        around.size[1] = max(around.size[1], levels + 1)
        if around.size[0] > MOST_VALUES:
            raise SourceInvalid(f"it holds more than {MOST_VALUES} values, each alias counted as what it stands for")
        if len(self._open) + levels > DEEPEST:
            raise SourceInvalid(f"it is nested more than {DEEPEST} levels deep")
        if isinstance(around.value, list):
            around.value.append(value)
        elif not around.key:
            around.key.append(value)
        else:
            key = around.key.pop()
            if key == "<<" and isinstance(value, dict | list):
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, dict):
                        around.value.update({name: one for name, one in each.items() if name not in around.value})
            else:
                around.value[str(key)] = value


def _tagged(tag: str | None, value: Any) -> Any:
    if tag is None or not tag.startswith("!") or tag == "!":
        return value
    name = _PLAIN_TAGS.get(tag, f"Fn::{tag[1:]}")
    return {name: value}
