"""The pages that tests hold against the code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
"""Text of every page, by its path."""


def rows(page: str, heading: str) -> list[list[str]]:
    """
    The cells of the one table of a page that begins with this heading row.

    Args:
        page: Its path, for example ``docs/errors.md``.
        heading: The whole heading row.
    """
    (table,) = re.findall(rf"^{re.escape(heading)}\n\|[-|]+\|\n((?:\|.*\n)+)", PAGES[page], re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
