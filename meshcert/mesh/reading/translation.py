"""Turn pydantic's errors into faults: where, what is wrong in the reader's words, and what to write instead."""

from __future__ import annotations

import re
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

from meshcert.errors import Fault
from meshcert.mesh.naming import suggestion
from meshcert.mesh.reading.source import place_of
from meshcert.mesh.reading.unsupported import instead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping of names",
    "model_type": "a mapping",
    "tuple_type": "a list",
}


def bare(annotation: Any) -> Any:
    """An annotation without its ``| None``."""
    if get_origin(annotation) in (Union, UnionType):
        return next(argument for argument in get_args(annotation) if argument is not type(None))
    return annotation


def as_part(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation stands for; None if it is not one."""
    kind = bare(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def fields(part: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """A model's fields, by the keys that people write."""
    return {field.alias or name: field for name, field in part.model_fields.items()}


def below(annotation: Any, step: str | int) -> Any:
    """The annotation one step below another; None if the model has no such step."""
    kind = bare(annotation)
    if part := as_part(kind):
        field = fields(part).get(str(step))
        return field.annotation if field else None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    return arguments[0] if get_origin(kind) is tuple else None


def translate(error: ErrorDetails, root: type[BaseModel]) -> Fault:
    """
    One of pydantic's errors as a fault.

    Args:
        root: The model that was validated.
    """
    place = place_of(error["loc"])
    around: Any = root
    for step in error["loc"][:-1]:
        around = below(around, step)
    part, named = as_part(around), as_part(below(around, error["loc"][-1])) if error["loc"] else None
    if error["type"] == "model_type" and named and error["input"] is not None:
        keys = f"Write it as a mapping, of {', '.join(fields(named))}"
        return Fault(place, f"expected a mapping, found {shown(error['input'])}", keys)
    key = str(error["loc"][-1]) if error["loc"] else ""
    if part and error["type"] == "extra_forbidden" and (remedy := instead(part.__name__, key)):
        return Fault(place, "not supported", remedy)
    return Fault(place, *_words(error, key, fields(part) if part else {}))


_WORDS = {"command", "entry_point"}
"""Lists of the words of a command line."""
_OTHERWISE = {"nat_gateways": "; a network without them has egress: endpoints instead of this"}
"""What is meant by some values that a field does not take, by its name."""


def _words(error: ErrorDetails, key: str, known: Mapping[str, FieldInfo]) -> tuple[str, str]:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {shown(value)}", _retype(kind, value, key, known)
    match kind:
        case "extra_forbidden":
            words = ("unknown key", suggestion(key, known, f"Remove it; known here: {', '.join(known)}"))
        case "missing":
            words = ("it is missing", f"Add {key}{_example(known.get(key))}")
        case "enum" | "literal_error":
            allowed = re.findall(r"'?([\w.-]+)'?(?:, | or |$)", context["expected"])
            words = (f"{shown(value)} is not allowed", f"Use {' or '.join(allowed)}{_OTHERWISE.get(key, '')}")
        case "too_short":
            words = ("the list is empty", f"Give at least one{_example(known.get(key))}")
        case "too_long":
            words = (f"there are {context['actual_length']} of them", f"Keep at most {context['max_length']}")
        case _:
            wanted = error["msg"].removeprefix("Input should ").removeprefix("String should ")
            example = _example(known.get(key)) if kind == "string_pattern_mismatch" else ""
            words = (f"{shown(value)} is not allowed", f"It must {wanted}{example}")
    return words


def _retype(kind: str, value: object, key: str, known: Mapping[str, FieldInfo]) -> str:
    if value is None:
        return "Give it a value, or remove the key"
    if kind == "float_type" and isinstance(value, dict):
        return f"Write seconds{_example(known.get(key))}, or {{unit: s, value: ...}} with a whole number"
    if kind == "string_type" and not isinstance(value, list | dict):
        return "Put it into quotes"
    if kind != "string_type" and isinstance(value, str) and kind in ("int_type", "float_type", "bool_type"):
        return "Write it without quotes"
    if kind == "tuple_type" and isinstance(value, str):
        words = ", ".join(value.split())
        return f"Write [{words}]: each word is an item, as no shell runs" if key in _WORDS else f"Write [{value}]"
    return f"Write it as {_EXPECTED[kind]}{_example(known.get(key))}"


def _example(field: FieldInfo | None) -> str:
    if field is None or not field.examples:
        return ""
    example = field.examples[0]
    return f", for example {'[' + ', '.join(map(str, example)) + ']' if isinstance(example, list) else example}"


def shown(value: object) -> str:
    """A value as it is written in YAML."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return repr(value) if isinstance(value, str) else str(value)
