"""
Regular expressions of routes: whether Envoy takes one, and what it matches.

Envoy's are RE2's (https://github.com/google/re2/wiki/Syntax). Rust's, which pydantic brings along, take as long as the
text is, too, and have nearly the same syntax; :func:`regex_fault` knows the differences. What is left is that a few
expressions which RE2 would take have to be written in another way.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

MOST_REPETITIONS = 1000
"""RE2's limit for one repetition, and for repetitions in repetitions multiplied."""

_LARGEST_BYTE = 0xFF
_CLASSES = (
    *("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper"),
    *("word", "xdigit"),
)
"""Names of character classes (RE2, Syntax)."""
_TOKEN = re.compile(
    r"(?P<class>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\\[])*(?P<open>\[)?\]?)"
    r"|(?P<look>\(\?<?[=!])|(?P<atomic>\(\?>)|(?P<same>\(\?P=)|(?P<flags>\(\?[a-zA-Z-]*[xRu][a-zA-Z-]*[:)])"
    r"|(?P<group>\()|(?P<end>\))|(?P<escape>\\(?:.|$))|(?P<repeat>\{[0-9]+(?:,[0-9]*)?\}|[*+?])|(?P<text>.)",
    re.DOTALL,
)
_PROBLEMS = {
    "look": ("look-ahead or look-behind, which Envoy's RE2 does not have", "Write two routes instead"),
    "atomic": ("an atomic group, which Envoy's RE2 does not have", "Write (?: instead"),
    "same": ("a back-reference, which Envoy's RE2 does not have", "Write out what may stand there"),
    "flags": ("a flag that Envoy's RE2 does not have", "Use i, m, s and U only"),
    "open": ("a [ within brackets", r"Write \["),
}


def regex_fault(regex: str) -> tuple[str, str] | None:
    """What in a regular expression Envoy does not take, with a remedy; None if it takes it."""
    return _unknown_to_re2(regex) or _group_name_fault(regex) or _not_well_formed(regex)


def matches_whole(regex: str, text: str) -> bool:
    """Whether a regular expression matches all of a text; false if it is none."""
    compiled = None if regex_fault(regex) else _compiled(rf"\A(?:{regex})\z")
    return compiled is not None and compiled.isinstance_python(text)


def literal_beginning(regex: str) -> str:
    """The text that everything begins with that a regular expression matches, so far as one can tell."""
    literal = ""
    rest = regex.removeprefix("^")
    if has_alternatives(regex):
        return literal
    while plain := re.match(r"([\w/~#&%,;:=@!<>'\" -])|\\([^\w])", rest, re.ASCII):
        rest = rest[plain.end() :]
        if rest[:1] in ("?", "*", "+", "{"):
            # What is repeated may also be missing.
            break
        literal += plain.group(1) or plain.group(2)
    return literal


def has_alternatives(regex: str) -> bool:
    """Whether a regular expression is several, outside of all groups."""
    depth = 0
    for token in _TOKEN.finditer(regex):
        depth += (token.lastgroup in ("group", "look", "atomic", "same", "flags")) - (token.lastgroup == "end")
        if token.group() == "|" and not depth:
            return True
    return False


def _unknown_to_re2(regex: str) -> tuple[str, str] | None:
    repeated = ""
    around: list[int] = [1]
    closed = 1
    for token in _TOKEN.finditer(regex):
        kind, text = token.lastgroup or "", token.group()
        if problem := _PROBLEMS.get("open" if token["open"] else kind):
            return f"it has {problem[0]}", problem[1]
        if fault := _text_fault(kind, text, regex[token.end() :]):
            return fault
        if kind == "group":
            around.append(1)
        if kind == "repeat":
            if repeated and not (text == "?" and not repeated.endswith("??") and len(repeated) == 1):
                return f"it repeats a repetition ({repeated[-1]}{text}), which Envoy's RE2 does not do", "Use a group"
            times = closed * max([int(number) for number in re.findall("[0-9]+", text)] or [1])
            around[-1] = max(around[-1], times)
            if times > MOST_REPETITIONS:
                return f"it repeats more than {MOST_REPETITIONS} times", f"Repeat at most {MOST_REPETITIONS} times"
            repeated = "}" if not repeated and text[0] == "{" else repeated + text[0]
        else:
            repeated = ""
        closed = (around.pop() if len(around) > 1 else 1) if kind == "end" else closed if kind == "repeat" else 1
        if kind == "end":
            around[-1] = max(around[-1], closed)
    return None


def _group_name_fault(regex: str) -> tuple[str, str] | None:
    if name := re.search(r"\(\?P?<(\w*[^\x00-\x7f]\w*)>", regex):
        return f"it has a group called {name.group(1)}, which Envoy's RE2 does not take", "Use letters, digits and _"
    return None


def _text_fault(kind: str, text: str, rest: str) -> tuple[str, str] | None:
    if kind == "class":
        return _class_fault(text)
    return _escape_fault(text, rest) if kind == "escape" else None


def _class_fault(brackets: str) -> tuple[str, str] | None:
    """What in a character class only one of RE2 and Rust takes, or what they take for different things."""
    if found := re.search(r"&&|--|~~", brackets):
        return f"it has {found.group()} within brackets, which programs read in different ways", "Write it with \\"
    unknown = [name for name in re.findall(r"\[:\^?(\w+):\]", brackets) if name not in _CLASSES]
    if unknown:
        return f"it has [:{unknown[0]}:], which Envoy's RE2 does not have", f"Use one of {', '.join(_CLASSES)}"
    return _code_point_fault(brackets)


def _code_point_fault(text: str) -> tuple[str, str] | None:
    for digits in re.findall(r"\\x\{([0-9A-Fa-f]+)\}", text):
        if int(digits, 16) > _LARGEST_BYTE:
            return f"it has \\x{{{digits}}}, and Envoy's RE2 reads bytes", "Write the bytes of its UTF-8, each as \\xNN"
    return None


def _escape_fault(escape: str, rest: str) -> tuple[str, str] | None:
    character = escape[1:]
    if character.isdecimal() and character != "0" and not re.match("[0-7]{2}", rest):
        return f"it has a back-reference ({escape}), which Envoy's RE2 does not have", "Write out what may stand there"
    if character in ("<", ">"):
        return (
            f"it has {escape}, an end of a word elsewhere and for Envoy's RE2 just the character",
            "Write \\b, or it alone",
        )
    if character in tuple("uUk") or (character == "b" and rest.startswith("{")):
        return f"it has {escape}, which Envoy's RE2 does not have", "Write the character itself"
    if character == "x" and (fault := _code_point_fault(escape + rest.partition("}")[0] + "}")):
        return fault
    if character in ("p", "P") and not re.match(r"[A-Z]|\{\^?[A-Z][a-z]?\}", rest):
        return f"it has {escape} with a name that Envoy's RE2 does not have", r"Use one like \p{L} or \p{Lu}"
    return None


def _not_well_formed(regex: str) -> tuple[str, str] | None:
    if _compiled(regex) is not None:
        return None
    if re.search(r"(?<!\\)\{(?![0-9]+(,[0-9]*)?\})", regex):
        return "it has a { that repeats nothing", r"Write \{ for the character"
    return "it is no regular expression that Envoy's RE2 takes", "Check its brackets, and what stands behind each \\"


@lru_cache(maxsize=256)
def _compiled(regex: str) -> SchemaValidator | None:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=regex, regex_engine="rust-regex"))
    except SchemaError:
        return None
