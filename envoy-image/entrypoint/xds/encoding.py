"""Envoy's JSON messages as Protocol Buffers, by tables of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from entrypoint.grpc.wire import field, present

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.envoy.api import Json

    Fields = Mapping[str, "tuple[int, Fields | Callable[[Any], bytes]]"]
    """
    A message's fields by their names: number, and the fields of a message in it (none for text and numbers), or what
    encodes a message that is written otherwise in JSON.
    """


def encoded(values: Json, known: Fields) -> bytes:
    """
    Encode a message without its name, which stands in :func:`entrypoint.xds.messages.named_resource`.

    Raises:
        KeyError: If it has an unknown field: leaving one out could make Envoy trust too much.
    """
    message = b""
    for name, value in values.items():
        number, inner = known[name]
        for each in value if isinstance(value, list) else [value]:
            message += _written(number, each, inner)
    return message


def _written(number: int, value: Any, inner: Fields | Callable[[Any], bytes]) -> bytes:
    if callable(inner):
        return present(number, inner(value))
    if isinstance(value, dict):
        return present(number, encoded(value, inner))
    return present(number, value.encode()) if isinstance(value, str) else field(number, value)
