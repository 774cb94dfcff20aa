"""What a terminal obeys, and what is left of it."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcert.printable import json_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 1 → 2, 証明書", "Größe 1 → 2, 証明書"),
        ("\x1b[2A\x1b]52;c;Y3VybA==\x07", "\\x1b[2A\\x1b]52;c;Y3VybA==\\x07"),
        ("\x9b31m \x7f", "\\x9b31m \\x7f"),
        ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
        ("\u202egood\u2066 \u200b\u2028\ufeff", "\\u202egood\\u2066 \\u200b\\u2028\\ufeff"),
        ("\ud800 \U000e0001", "\\ud800 \\U000e0001"),
    ],
)
def test_what_a_terminal_obeys_is_written_as_text(text: str, shown: str) -> None:
    """C0, DEL, C1, marks of direction, separators of lines, halves of characters, tags."""
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    """Whatever the text; and what is printable stays as it is."""
    shown = printable(text)

    assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert printable(shown) == shown


@given(st.text(st.characters()))
def test_a_line_of_json_is_ascii_and_says_the_same(text: str) -> None:
    """In a log that people read with ``aws logs tail``."""
    line = json_line({"why": text})

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"why": text}
