"""
What others wrote, as people may safely read it: on a terminal, in a finding, in a line of a log.

A terminal obeys some characters instead of showing them: they move the cursor, erase lines, set the window's title or
the clipboard (ECMA-48, xterm's OSC), or turn the order of a line around (Unicode Standard Annex 9).
"""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    r"""
    The text with every character that is not shown as itself written as an escape, for example ``\x1b``.

    These are C0, DEL and C1, line and paragraph separators, marks of direction and other invisible ones, and halves of
    surrogates. Spaces other than the plain one are escaped, too.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def json_line(document: Any) -> str:
    """One line of JSON, in ASCII: whatever is not ASCII is escaped, for a log that people read on a terminal."""
    return json.dumps(document, default=str, separators=(",", ":"))
