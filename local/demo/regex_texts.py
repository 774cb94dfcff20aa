"""A text that a regular expression of a route matches: of each choice the simplest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.mesh.routing.regexes import matches_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"(?P<nothing>\(\?[a-zA-Z-]+\)|[\^$])|(?P<open>\((?:\?(?:[a-zA-Z-]*:|P?<\w+>))?)|(?P<close>\))|(?P<alternative>\|)"
    r"|(?P<class>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])|(?P<repeat>(?:\{\d+(?:,\d*)?\}|[*+?])\??)"
    r"|(?P<escape>\\.)|(?P<any>\.)|(?P<plain>.)",
    re.DOTALL,
)
_OF_ESCAPE = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a", "b": "", "B": "", "A": "", "z": ""}
_SAMPLES = "a0A-/ ._"
"""What is tried for a class of characters."""


def text_matching(regex: str) -> str | None:
    """A text that all of a regular expression matches; None if none of the simple ones is."""
    tokens = [(str(match.lastgroup), match[0]) for match in _TOKEN.finditer(regex)]
    text = _alternatives(iter([*tokens, ("close", ")")]))
    return text if matches_whole(regex, text) else None


def _alternatives(tokens: Iterator[tuple[str, str]]) -> str:
    """The first alternative of a group, which ends with its bracket."""
    first, parts = None, list[str]()
    for kind, token in tokens:
        match kind:
            case "close":
                break
            case "alternative":
                first, parts = (parts if first is None else first), []
            case "repeat":
                # As seldom as it may be: a star or a question mark may leave out what is before it.
                least = re.match(r"\{(\d+)", token)
                times = int(least[1]) if least else int(token[0] == "+")
                parts[-1:] = [parts[-1] * times] if parts else []
            case "open":
                parts.append(_alternatives(tokens))
            case _:
                parts.append(_one(kind, token))
    return "".join(parts if first is None else first)


def _one(kind: str, token: str) -> str:
    """What one character of an expression stands for."""
    match kind:
        case "nothing":
            return ""
        case "class":
            return next((each for each in _SAMPLES + token[1:] if matches_whole(token, each)), "")
        case "escape":
            return _OF_ESCAPE.get(token[1], token[1])
        case "any":
            return "a"
    return token
