"""
JSON that others wrote, bounded before it is trusted: its bytes, its nesting, its numbers and its characters.

Python's own reader takes any number of bytes, NaN and Infinity, integers that no float can hold and halves of
surrogates; it raises RecursionError, and its errors keep the text, which may be a key.
"""

from __future__ import annotations

import json
from typing import Any

MOST_BYTES = 1 << 20
"""Of a text, if its reader says nothing else: one byte becomes 32 bytes of Python's objects at most."""
DEEPEST = 64
"""Levels of lists and objects. Events of AWS have fewer than ten."""
LARGEST_INTEGER = 2**63 - 1
"""AWS's longs; the smallest is one below its negative."""

_LONGEST_INTEGER = len(str(-LARGEST_INTEGER - 1))
_LARGEST_FLOAT = 1.7976931348623157e308


class JsonInvalid(ValueError):
    """A text that is not JSON, or more than we read. Its message has nothing of the text, and it has no cause."""


def read_json(text: str | bytes, most_bytes: int = MOST_BYTES) -> Any:
    """
    The value of a JSON text (RFC 8259).

    Args:
        text: If it is bytes, UTF-8.
        most_bytes: Bytes of UTF-8 that it may have.

    Raises:
        JsonInvalid: If it is not JSON, is longer or nested more deeply than :data:`DEEPEST`, or holds a number that is
            no 64-bit integer and no finite float, or half a surrogate pair.
    """
    if len(text) > most_bytes:
        raise JsonInvalid(f"it is longer than {most_bytes} bytes")
    try:
        characters = text.decode() if isinstance(text, bytes) else text
        if not isinstance(text, bytes) and len(text.encode()) > most_bytes:
            raise JsonInvalid(f"it is longer than {most_bytes} bytes")
        value = _DECODER.decode(characters)
        if characters.count("[") + characters.count("{") > DEEPEST and not _is_flat(value):
            raise JsonInvalid(_NESTED)
        if r"\ud" in characters.lower():
            # Half a surrogate pair can be escaped; it is no character, and no encoder takes it.
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise JsonInvalid("it is not Unicode text") from None
    except RecursionError:
        raise JsonInvalid(_NESTED) from None
    except json.JSONDecodeError as error:
        raise JsonInvalid(f"it is not JSON: {error.msg} at character {error.pos}") from None
    return value


_NESTED = f"it is nested more than {DEEPEST} levels deep"


def _is_flat(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _integer(digits: str) -> int:
    if len(digits) <= _LONGEST_INTEGER and -LARGEST_INTEGER - 1 <= (number := int(digits)) <= LARGEST_INTEGER:
        return number
    raise JsonInvalid("it holds an integer of more than 64 bits")


def _finite(digits: str) -> float:
    if -_LARGEST_FLOAT <= (number := float(digits)) <= _LARGEST_FLOAT:
        return number
    raise JsonInvalid("it holds a number that is too large")


def _no_constant(name: str) -> float:
    raise JsonInvalid(f"it holds {name}, which is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_no_constant)
