"""
Complete a faulty file so that it can be checked further, and one run reports every fault.

Values that pydantic refuses are removed, or replaced by the field's example. Such places are *doubtful*: faults that
depend on them are not reported (:mod:`meshcert.mesh.findings`), since they would be about our stand-in and not about
the file.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, get_origin

from meshcert.mesh.naming import nearest
from meshcert.mesh.reading.source import place_of
from meshcert.mesh.reading.translation import as_part, bare, below, fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


def mend(values: Any, errors: Iterable[ErrorDetails], root: type[BaseModel]) -> tuple[Any, frozenset[str]]:
    """
    A copy of ``values`` that the model accepts, and the places that no longer say what the file said.

    Args:
        values: The content of the file.
        errors: Every error that pydantic found in it.
    """
    mended = copy.deepcopy(values) if isinstance(values, dict) else stand_in(root)
    replaced: set[tuple[str | int, ...]] = set()
    meant: set[str] = set()
    for error in sorted(errors, key=lambda error: len(error["loc"])):
        parts = error["loc"]
        if any(parts[: len(outer)] == outer for outer in replaced) or not parts:
            continue
        if error["type"] == "extra_forbidden":
            meant |= _remove(mended, parts, root)
        else:
            replaced.add(_replace(mended, parts, root))
    if not isinstance(values, dict):
        meant |= set(fields(root))
    return mended, frozenset(meant | {place_of(parts) for parts in replaced})


def stand_in(annotation: Any, field: FieldInfo | None = None) -> Any:
    """The smallest value that a place accepts: examples for required fields, and no optional ones."""
    if part := as_part(annotation):
        return {key: stand_in(inner.annotation, inner) for key, inner in fields(part).items() if inner.is_required()}
    if field is not None and field.examples:
        return copy.deepcopy(field.examples[0])
    if get_origin(bare(annotation)) is tuple:
        return [stand_in(below(annotation, 0))]
    return {}


def _remove(values: Any, parts: tuple[str | int, ...], root: type[BaseModel]) -> set[str]:
    """Remove an unknown key. The known key that was probably meant becomes doubtful."""
    container: Any = values
    around: Any = root
    for step in parts[:-1]:
        container, around = container[step], below(around, step)
    container.pop(parts[-1], None)
    part = as_part(around)
    meant = nearest(str(parts[-1]), fields(part)) if part else ""
    return {place_of((*parts[:-1], meant))} if meant else set()


def _replace(values: Any, parts: tuple[str | int, ...], root: type[BaseModel]) -> tuple[str | int, ...]:
    """Replace the smallest part around a fault that can be replaced, and return its place."""
    container: Any = values
    annotation: Any = root
    target: tuple[Any, int, Any, FieldInfo | None] = (values, 0, root, None)
    for index, step in enumerate(parts):
        part = as_part(annotation)
        annotation = below(annotation, step)
        if part or as_part(annotation):
            target = (container, index, annotation, fields(part)[str(step)] if part else None)
        if index < len(parts) - 1:
            container = container[step]
    container, index, annotation, field = target
    if field is not None and not field.is_required():
        container.pop(parts[index], None)
    else:
        container[parts[index]] = stand_in(annotation, field)
    return parts[: index + 1]
