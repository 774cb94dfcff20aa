"""
Placeholders of templates: ``$X``, ``${X}``, ``{{X}}``, ``{{ .X }}``, ``<X>``, in quotes or without.

They are replaced before a text is parsed, since many stand where JSON or YAML has no place for them; afterwards a text
that holds one is :class:`~meshcert.appmesh.resources.Unset`, or has its value if a person gave one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.resources import Unset

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEGIN, _END = "\ue000", "\ue001"
"""Of a marker in the text: characters of Unicode's private use, which no definition has."""
_BRACES = r"\{\{-?\s*\.?(?P<braced>[^{}\n]{1,200}?)\s*-?\}\}"
_SHELL = (
    r"\$\{(?P<shell>[A-Za-z_]\w{0,100})(?::?-(?P<otherwise>[^{}\n]{0,200}))?\}"
    r"|\$(?P<bare>[A-Za-z_]\w{0,100})"
    r"|(?<![?P\w])<(?P<angle>[A-Z][A-Z0-9_-]{1,60})>"
)
_ALL = re.compile(f"{_BRACES}|{_SHELL}", re.ASCII)
_ONLY_BRACES = re.compile(_BRACES, re.ASCII)
_STRING = re.compile(r'"(?:[^"\\\n]++|\\.)*+"')
"""Possessive: what is never given back takes no memory, a hundred bytes for each character otherwise."""
_CONTROL = re.compile(
    r"^[ \t]*\{\{-?\s*(?:/\*|if|else|end|range|with|define|template|include|toYaml|\$)[^\n]*\n?", re.MULTILINE
)
_MARK = re.compile(f"{_BEGIN}([0-9]{{1,6}}){_END}")
MOST = 100_000
"""Placeholders of one text."""


class Placeholders:
    """
    The placeholders of one text.

    Args:
        values: What a person says of them, by name.
        shell: False for CloudFormation, in which ``${X}`` is its own and only ``{{X}}`` is a template's.
    """

    def __init__(self, values: Mapping[str, str], *, shell: bool) -> None:
        self._values = values
        self._pattern = _ALL if shell else _ONLY_BRACES
        self._found: list[tuple[str, str, str | None]] = []
        self.controls = 0

    def mark(self, text: str) -> str:
        """The text with a marker in place of each placeholder; one that stands bare in JSON is put into quotes."""
        text = text.replace(_BEGIN, "").replace(_END, "")
        text, self.controls = _CONTROL.subn("", text)
        if text.lstrip()[:1] not in {"{", "["} or text.lstrip().startswith("{{"):
            return self._pattern.sub(self._marker, text)
        marked, at = [], 0
        for string in _STRING.finditer(text):
            marked += [self._bare(text[at : string.start()]), self._pattern.sub(self._marker, string[0])]
            at = string.end()
        return "".join([*marked, self._bare(text[at:])])

    def fill(self, value: Any) -> Any:
        """A parsed value with the placeholders back in it, or their values."""
        if not self._found:
            return value
        if isinstance(value, dict):
            return {str(self._text(str(key))): self.fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _bare(self, text: str) -> str:
        return self._pattern.sub(lambda found: f'"{self._marker(found)}"', text)

    def _marker(self, found: re.Match[str]) -> str:
        if len(self._found) >= MOST:
            return "x"
        groups = found.groupdict()
        name = next(groups[each] for each in ("braced", "shell", "bare", "angle") if groups.get(each))
        self._found.append((name.strip(), found[0], groups.get("otherwise")))
        return f"{_BEGIN}{len(self._found) - 1}{_END}"

    def _text(self, text: str) -> str:
        names: list[str] = []

        def back(found: re.Match[str]) -> str:
            name, written, otherwise = self._found[int(found[1])]
            value = self._values.get(name, otherwise)
            if value is None:
                names.append(name)
            return written if value is None else value

        if _BEGIN not in text:
            return text
        filled = _MARK.sub(back, text)
        return Unset(filled, tuple(dict.fromkeys(names))) if names else filled
