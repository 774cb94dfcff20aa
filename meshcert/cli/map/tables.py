"""A section of the page with one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.cli.map.markup import Markup, element

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(name: str, caption: str, heads: Iterable[str], rows: Sequence[Markup], *, nothing: str) -> Markup:
    """
    A section with a title and a table.

    Args:
        name: Its id.
        nothing: What is said instead, if there is no row.
    """
    title = element("h2", {"id": f"{name}-title"}, caption)
    if not rows:
        return element("section", {"id": name, "tabindex": "-1"}, title, element("p", None, nothing))
    head = element("tr", None, *(element("th", {"scope": "col"}, each) for each in heads))
    body = (element("thead", None, head), element("tbody", None, *rows))
    drawn = element("table", {"aria-labelledby": f"{name}-title"}, *body)
    wide = element("div", {"class": "wide"}, drawn)
    return element("section", {"id": name, "tabindex": "-1"}, title, wide)
