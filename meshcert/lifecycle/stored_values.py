"""Dataclasses of plain values in a row of the table ``lifecycle``: written as JSON, and read back with their types."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from typing import Any

from meshcert.clock import believed

_PLAIN: dict[str, type] = {"str": str, "int": int, "bool": bool}
_TIMES = {"dt.datetime": False, "dt.datetime | None": True}
"""Annotations of times, and whether there may be none."""


def plain(value: Any) -> Any:
    """What :func:`json.dumps` writes of a time or of a dataclass."""
    # dataclasses.asdict makes deep copies, which is slow, and a fleet's memory is written at every look.
    return value.isoformat() if isinstance(value, dt.datetime) else vars(value)


def read_record(kind: Any, value: Any) -> Any:
    """
    A dataclass of texts, numbers and times. Names that it does not have are left out: a later version wrote them.

    Args:
        value: From JSON. What is no text, number or time has to be read already.

    Raises:
        AttributeError, TypeError, ValueError: If it is of another shape, or a value of another type.
    """
    known = {field.name: str(field.type) for field in fields(kind)}
    return kind(**{name: _read(known[name], entry) for name, entry in value.items() if name in known})


def read_optional(kind: Any, value: Any) -> Any:
    """The same; None gives None."""
    return None if value is None else read_record(kind, value)


def read_named(kind: Any, value: Any) -> dict[str, Any]:
    """The same for each value of an object."""
    return {name: read_record(kind, each) for name, each in value.items()}


def read_time(value: Any) -> dt.datetime:
    """
    A time, UTC.

    Raises:
        TypeError: If it is no text.
        ValueError: If the text is no believable time with a zone.
    """
    return believed(dt.datetime.fromisoformat(value))


def read_texts(value: Any) -> tuple[str, ...]:
    """
    Texts.

    Raises:
        TypeError: If there is anything else.
    """
    return tuple(_read("str", each) for each in value)


def _read(annotation: str, value: Any) -> Any:
    if annotation in _TIMES:
        return None if value is None and _TIMES[annotation] else read_time(value)
    expected = _PLAIN.get(annotation)
    # A bool is an int to isinstance.
    if expected and type(value) is not expected:
        raise TypeError(f"{annotation} was expected")
    return value
