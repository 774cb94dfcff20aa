"""
Filter patterns of CloudWatch Logs: terms and JSON conditions.

Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail", CloudWatch
Logs user guide. Not here: regular expressions between percent signs, and the bracketed form for columns.
"""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Matcher = Callable[[str], bool]
Condition = Callable[[Any], bool]

_TERM = re.compile(r'([-?]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_TOKEN = re.compile(r'\s*(\(|\)|&&|\|\||!=|<=|>=|=|<|>|"(?:[^"\\]|\\.)*"|[^\s()=<>!&|"]+)')
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MISSING = object()
"""Returned by :func:`select` for a property that is not there."""


class PatternInvalidError(ValueError):
    """
    A pattern that CloudWatch Logs would refuse, or a form that is not known here.

    Args:
        reason: What is wrong with it.
    """

    def __init__(self, pattern: str, reason: str) -> None:
        self.pattern = pattern
        super().__init__(f"Invalid filter pattern {pattern!r}: {reason}")


@lru_cache
def compile_pattern(pattern: str | None) -> Matcher:
    """
    A function that is True of messages which match.

    Raises:
        PatternInvalidError: If the pattern is malformed.
    """
    stripped = (pattern or "").strip()
    if stripped.startswith("{"):
        return _json_matcher(stripped)
    if stripped.startswith(("[", "%")):
        raise PatternInvalidError(stripped, "columns and regular expressions are not known to the local AWS")
    return _terms_matcher(stripped)


def _terms_matcher(pattern: str) -> Matcher:
    """All plain terms, at least one of those with a question mark, none of those with a minus."""
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    for sign, quoted, bare in _TERM.findall(pattern):
        terms[sign].append(quoted.replace('\\"', '"') if quoted else bare)

    def matches(message: str) -> bool:
        return (
            all(term in message for term in terms[""])
            and (not terms["?"] or any(term in message for term in terms["?"]))
            and not any(term in message for term in terms["-"])
        )

    return matches


def _json_matcher(pattern: str) -> Matcher:
    if not pattern.endswith("}"):
        raise PatternInvalidError(pattern, "the closing brace is missing")
    condition = _Parser(pattern).parse()

    def matches(message: str) -> bool:
        try:
            return condition(json.loads(message))
        except ValueError:
            return False

    return matches


class _Parser:
    """``{ $.a = "x" && ($.b >= 2 || $.c IS NULL) }``: and binds closer than or."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._tokens: list[str] = []
        inside = pattern[1:-1].rstrip()
        position = 0
        while position < len(inside):
            token = _TOKEN.match(inside, position)
            if token is None:
                raise self._error(f"{inside[position:]!r} is not understood")
            self._tokens.append(token.group(1))
            position = token.end()

    def parse(self) -> Condition:
        condition = self._either()
        if self._tokens:
            raise self._error(f"{self._tokens[0]!r} is left over")
        return condition

    def _either(self) -> Condition:
        options = [self._both()]
        while self._tokens[:1] == ["||"]:
            self._next()
            options.append(self._both())
        return lambda event: any(option(event) for option in options)

    def _both(self) -> Condition:
        parts = [self._single()]
        while self._tokens[:1] == ["&&"]:
            self._next()
            parts.append(self._single())
        return lambda event: all(part(event) for part in parts)

    def _single(self) -> Condition:
        first = self._next()
        if first == "(":
            inner = self._either()
            if self._next() != ")":
                raise self._error("a closing bracket is missing")
            return inner
        if not first.startswith("$"):
            raise self._error(f"{first!r} is no property selector")
        return self._comparison(first, self._next())

    def _comparison(self, selector: str, sign: str) -> Condition:
        if sign == "IS":
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}
            word = self._next()
            if word not in wanted:
                raise self._error(f"IS {word}")
            return lambda event: select(event, selector) is wanted[word]
        if sign == "EXISTS":
            return lambda event: select(event, selector) is not MISSING
        if sign == "NOT" and self._next() == "EXISTS":
            return lambda event: select(event, selector) is MISSING
        literal = self._next()
        if sign in {"=", "!="}:
            return lambda event: _equals(select(event, selector), literal, negated=sign == "!=")
        if sign in _ORDER:
            bound = self._number(literal)
            return lambda event: _compares(select(event, selector), _ORDER[sign], bound)
        raise self._error(f"{sign!r} is no comparison")

    def _number(self, literal: str) -> float:
        try:
            return float(literal)
        except ValueError:
            raise self._error(f"{literal!r} is no number") from None

    def _next(self) -> str:
        if not self._tokens:
            raise self._error("it ends too early")
        return self._tokens.pop(0)

    def _error(self, reason: str) -> PatternInvalidError:
        return PatternInvalidError(self._pattern, reason)


def select(event: Any, selector: str) -> Any:
    """The value at ``$.a.b[0]`` of a decoded event, or :data:`MISSING`."""
    value = event
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", selector):
        if name and isinstance(value, dict) and name in value:
            value = value[name]
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return MISSING
    return value


def _equals(value: Any, literal: str, *, negated: bool) -> bool:
    """Texts with ``*`` for anything, numbers by value; a property that is not there matches neither way."""
    if value is MISSING or value is None or isinstance(value, (dict, list)):
        return False
    if isinstance(value, bool):
        return (json.dumps(value) == literal.strip('"')) is not negated
    text = json.loads(literal) if literal.startswith('"') else literal
    if isinstance(value, str):
        same = fnmatch.fnmatchcase(value, text.replace("[", "[[]").replace("?", "[?]"))
    else:
        same = not literal.startswith('"') and _is_number(text) and float(text) == value
    return same is not negated


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _compares(value: Any, compare: Callable[[float, float], bool], bound: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and compare(float(value), bound)
