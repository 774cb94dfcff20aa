"""
Read YAML into plain values, with the line of each; broken YAML and keys written twice are faults.

A text is measured before anything is made of it: its bytes, its nesting, and its values with each alias counted as what
it stands for (ten aliases of ten aliases, and so on, are many values in few bytes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from meshcert.errors import Fault

WHOLE_FILE = "(file)"
"""The place of faults that concern no key."""

MOST_BYTES = 1 << 20
"""Of a mesh file: 300 virtual nodes with ten backends each, as ``meshcert import`` writes them, take 600 KiB."""
MOST_VALUES = 60_000
"""The same mesh has 44,000. So many take two seconds of a processor and 51 MB (docs/benchmarks.md, importing)."""
DEEPEST = 32
LONGEST_NUMBER = 40
"""Characters of an unquoted number: longer ones take time, and no float holds them."""


def place_of(parts: tuple[str | int, ...]) -> str:
    """A place as people write it: ``identities.colorteller.dns_names[0]``."""
    place = ""
    for part in parts:
        if isinstance(part, int):
            place += f"[{part}]"
        else:
            place += f".{part}" if place else part
    return place or WHOLE_FILE


@dataclass
class _Size:
    """Of a part of a text: its values, and the levels of lists and mappings in it."""

    values: int = 0
    levels: int = 0


@dataclass
class Source:
    """
    The content of a YAML text.

    Args:
        values: The text's content; None if it cannot be read.
        faults: What is wrong with it as YAML.
        lines: The line of each place, counted from 1.
    """

    values: Any = None
    faults: list[Fault] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def line(self, place: str) -> int:
        """The line of a place, or of the nearest part around it that is in the text; 1 for the whole file."""
        while place not in self.lines and place:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return self.lines.get(place, 1)


def read_yaml(text: bytes) -> Source:
    """The content of a YAML text. Never raises: text that cannot be read is a fault."""
    source = Source()
    if len(text) > MOST_BYTES:
        problem = f"it has {len(text)} bytes, and {MOST_BYTES} are read"
        source.faults.append(Fault(WHOLE_FILE, problem, "Divide the mesh into several"))
        return source
    try:
        _measure(text)
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is not None:
            _note(root, (), source, set())
            source.values = loader.construct_document(root)
    except (yaml.YAMLError, ValueError) as error:
        source.faults.append(_syntax_fault(error, source))
        return source
    except (ArithmeticError, AttributeError, LookupError, TypeError):
        # PyYAML's constructors raise them for `!!int ""` and its like.
        source.faults.append(Fault(WHOLE_FILE, "a value is not what its tag says", "Write values without !! tags"))
        return source
    if source.values is None:
        source.faults.append(Fault(WHOLE_FILE, "it is empty", "Begin with a copy of mesh.yaml"))
    return source


def _measure(text: bytes) -> None:
    """Raise a MarkedYAMLError if a text holds too much, before it is loaded."""
    named: dict[str, _Size] = {}
    around: list[tuple[str | None, _Size]] = []
    whole = _Size()
    # Libyaml's parser: PyYAML's own takes minutes for a text of brackets.
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        inner, anchor = _Size(), None
        if isinstance(event, yaml.CollectionStartEvent):
            around.append((event.anchor, _Size(values=1, levels=1)))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, inner = around.pop()
        elif isinstance(event, yaml.AliasEvent):
            inner = named.get(event.anchor or "", inner)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, inner = event.anchor, _Size(values=1)
        if anchor:
            named[anchor] = inner
        outer = around[-1][1] if around else whole
        outer.values += inner.values
        outer.levels = max(outer.levels, inner.levels + 1)
        if len(around) + inner.levels > DEEPEST:
            raise _too_much(f"more than {DEEPEST} levels", event)
        if outer.values > MOST_VALUES:
            raise _too_much(f"more than {MOST_VALUES} values, each alias counted as what it stands for", event)


def _too_much(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark  # libyaml's marks have the same line and column
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _Loader(yaml.CSafeLoader):
    """Loads YAML with keys as text: `on:` and `1:` are names here."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """The mapping with its keys as they are written."""
        self.flatten_mapping(node)
        return {
            key.value if isinstance(key, yaml.ScalarNode) else str(key.value): self.construct_object(value, deep=deep)
            for key, value in node.value
        }


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")


def _note(node: yaml.Node, parts: tuple[str | int, ...], source: Source, around: set[int]) -> None:
    """Record the lines below ``node`` and report keys written twice; ``around`` stops circular aliases."""
    if id(node) in around:
        raise yaml.MarkedYAMLError(problem="an alias that contains itself", problem_mark=node.start_mark)
    if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER:
        problem = f"a number of more than {LONGEST_NUMBER} characters"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    around = around | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            source.lines[place_of((*parts, index))] = item.start_mark.line + 1
            _note(item, (*parts, index), source, around)
    elif isinstance(node, yaml.MappingNode):
        written: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            place = place_of((*parts, name))
            source.lines[place] = line
            if name in written:
                problem = f"the key is written twice, in lines {written[name]} and {line}"
                source.faults.append(Fault(place, problem, "YAML keeps the last one: make them one, or rename one"))
            written[name] = line
            _note(value, (*parts, name), source, around)


def _syntax_fault(error: Exception, source: Source) -> Fault:
    remedy = "Check indentation, colons and quotes there"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Fault(WHOLE_FILE, f"it is not YAML: {' '.join(str(error).split())}", "Write it as UTF-8 text in YAML")
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    source.lines[place] = mark.line + 1
    context = getattr(error, "context", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return Fault(place, f"it is not YAML: {context + ', ' if context else ''}{problem}", remedy)
