"""JSON is bounded before anybody believes it."""

from __future__ import annotations

import json

import pytest

from meshcert.bounded_json import DEEPEST, LARGEST_INTEGER, MOST_BYTES, JsonInvalid, read_json

_LEVEL = '{"a":'


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        1.5,
        -1e300,
        LARGEST_INTEGER,
        -LARGEST_INTEGER - 1,
        "é\U0001f600",
        [],
        {},
        {"a": [1, {"b": []}]},
    ],
)
def test_what_json_can_say_is_read(value: object) -> None:
    """As text, and as bytes of UTF-8."""
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


def test_what_is_just_not_too_much_is_read() -> None:
    """As many bytes, and as many levels, as may be."""
    assert read_json('"' + "x" * (MOST_BYTES - 2) + '"')
    assert read_json("[" * DEEPEST + "]" * DEEPEST)
    assert read_json("[" + "[]," * 1000 + "[]]")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON"),
        ("nul", "not JSON"),
        ("[1] [2]", "not JSON"),
        ('"a\0"', "not JSON"),
        (b"\xff\xfe[\x00]\x00", "Unicode"),
        (b'"\xed\xa0\x80"', "Unicode"),
        ('"\udc80"', "Unicode"),
        (r'{"\ud800": 1}', "Unicode"),
        (r'["\uDFFF"]', "Unicode"),
        ('"' + "x" * (MOST_BYTES - 1) + '"', "longer"),
        ('"' + "é" * (MOST_BYTES // 2) + '"', "longer"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested"),
        (_LEVEL * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "nested"),
        ("[" * 500_000, "nested"),
        (_LEVEL * 200_000, "nested"),
        ("NaN", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "too large"),
        (f"{LARGEST_INTEGER + 1}", "64 bits"),
        (f"{-LARGEST_INTEGER - 2}", "64 bits"),
        ("1" * 900_000, "64 bits"),
    ],
)
def test_anything_else_is_refused_and_not_quoted(text: str | bytes, told: str) -> None:
    """By one error, which holds nothing of the text."""
    with pytest.raises(JsonInvalid, match=told) as refused:
        read_json(text)

    assert len(str(refused.value)) < 100
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
