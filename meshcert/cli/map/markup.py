"""HTML and SVG as text: whatever is not markup already is escaped, so nothing that others wrote can become any."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from meshcert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_VOID = frozenset({"br", "input", "meta"})
"""Elements without an end tag (HTML Standard, 13.1.2)."""


class Markup(str):
    """Text that is markup: it has gone through :func:`element` or is our own."""

    __slots__ = ()


def element(name: str, attributes: dict[str, object] | None = None, *children: str) -> Markup:
    """
    An element of HTML or SVG.

    Args:
        attributes: An attribute of the value None or False is left out, and one that is True has no value.
        children: What is no markup is escaped.
    """
    said = "".join(_attribute(key, value) for key, value in (attributes or {}).items() if value not in (None, False))
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(printable(part)) for part in parts))


def _attribute(key: str, value: object) -> str:
    return f" {key}" if value is True else f' {key}="{html.escape(printable(_text(value)))}"'


def _text(value: object) -> str:
    """Numbers without digits that nobody sees: a picture's coordinates."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
