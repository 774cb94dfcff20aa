"""Write a mesh file: YAML that people read on, with comments where they have something to decide."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*", re.ASCII)
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_WIDTH = 100
_LONGEST_KEY = 1000
"""Of a key without a mark: 1,024 characters, quotes included (YAML 1.1, section 9.1.3)."""
_LAST_OF_FOUR_DIGITS = 0xFFFF
_OPEN, _DEEPEST = 2, 4
"""Steps from the file's root down to what may stand in one line, and levels in it."""


def as_yaml(values: Mapping[str, Any], comments: Mapping[str, list[str]]) -> str:
    """
    A mesh file.

    Args:
        values: Its content: mappings, lists, texts, numbers, truth values.
        comments: By place, for example ``services.blue.application``; "" is the head of the file.
    """
    writer = _Writer(comments)
    lines = [f"# {line}".rstrip() for line in comments.get("", [])]
    for key, value in values.items():
        if lines and isinstance(value, dict | list):
            lines.append("")
        lines += writer.entry(_key(key, ""), value, str(key), "")
    return "\n".join(lines) + "\n"


class _Writer:
    def __init__(self, comments: Mapping[str, list[str]]) -> None:
        self._comments = comments
        self._around = {outer for place in comments for outer in _around(place)}

    def entry(self, head: str, value: Any, place: str, indent: str) -> Iterator[str]:
        """The lines of a key or of a dash, with its value."""
        for line in self._comments.get(place, []):
            yield f"{indent}# {line}"
        if not isinstance(value, dict | list) or not value:
            yield f"{indent}{head} {_flow(value)}"
            return
        if self._fits(value, place) and len(flow := f"{indent}{head} {_flow(value)}") <= _WIDTH:
            yield flow
            return
        inner = f"{indent}  "
        if isinstance(value, list):
            yield f"{indent}{head}"
            for index, item in enumerate(value):
                yield from self.entry("-", item, f"{place}[{index}]", inner)
            return
        lines = [
            line for key, each in value.items() for line in self.entry(_key(key, inner), each, f"{place}.{key}", inner)
        ]
        if head == "-" and not lines[0].lstrip().startswith("#"):
            yield f"{indent}- {lines[0][len(inner) :]}"
            lines = lines[1:]
        else:
            yield f"{indent}{head}"
        yield from lines

    def _fits(self, value: Any, place: str) -> bool:
        """True if a part is small enough for one line, and nothing is said within it; sections stay open."""
        return place not in self._around and _steps(place) >= _OPEN and _depth(value) <= _DEEPEST


def _steps(place: str) -> int:
    return place.count(".") + place.count("[")


def _around(place: str) -> Iterator[str]:
    while place:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
        yield place


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max((_depth(each) for each in (value.values() if isinstance(value, dict) else value)), default=0)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key, '')} {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    return _scalar(value)


def _key(key: Any, indent: str) -> str:
    """A key with its colon; one that is longer than YAML takes as it stands is marked as a key."""
    text = _scalar(key)
    return f"{text}:" if len(text) <= _LONGEST_KEY else f"? {text}\n{indent}:"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) + ".0" if value.is_integer() else repr(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """In double quotes, with what is not shown as itself as an escape of YAML 1.1."""
    shown = (
        one
        if one.isprintable() and one not in '"\\'
        else f"\\U{ord(one):08X}"
        if ord(one) > _LAST_OF_FOUR_DIGITS
        else json.dumps(one)[1:-1]
        for one in text
    )
    return f'"{"".join(shown)}"'
