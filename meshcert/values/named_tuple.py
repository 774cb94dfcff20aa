"""
``typing.NamedTuple``, defined in a tenth of its time, for the modules that a container loads at its start.

They define fifty. ``typing`` compiles a constructor for each and the type of each field: 20 ms of CPU, a fifteenth of
the whole start (docs/benchmarks.md, "A quarter of a CPU"). Type checkers see the original. So does whoever uses one,
with two exceptions: making a value takes 3 µs instead of 0.3, and ``inspect.signature`` does not name the fields.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true, without loading ``typing``

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NamedTuple, Self

    __all__ = ["NamedTuple"]
else:
    from operator import itemgetter

    class _Definition(type):
        """Makes a class with annotations a tuple with properties."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            del bases
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace.pop(field) for field in fields if field in namespace}
            namespace.update((field, property(itemgetter(position))) for position, field in enumerate(fields))
            namespace |= {"__slots__": (), "__match_args__": fields, "_fields": fields, "_field_defaults": defaults}
            return type.__new__(type, name, (_Values,), namespace)

    class _Values(tuple):
        __slots__ = ()

        def __new__(cls, *values: Any, **named: Any) -> Self:
            if named or len(values) != len(cls._fields):
                values = cls._completed(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _completed(cls, values: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
            """All values, those by name and by default included; raises TypeError as a function does."""
            known = {**dict(zip(cls._fields, values, strict=False)), **named}
            if len(values) > len(cls._fields) or len(known) < len(values) + len(named):
                raise TypeError(f"{cls.__name__} is given a field twice, or more than it has")
            if unknown := known.keys() - set(cls._fields):
                raise TypeError(f"{cls.__name__} has no field {', '.join(sorted(unknown))}")
            complete = {**cls._field_defaults, **known}
            if missing := [field for field in cls._fields if field not in complete]:
                raise TypeError(f"{cls.__name__} misses {', '.join(missing)}")
            return [complete[field] for field in cls._fields]

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Self:
            return cls(*values)

        def _replace(self, **named: Any) -> Self:
            return type(self)(**{**self._asdict(), **named})

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

        def __repr__(self) -> str:
            values = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
            return f"{type(self).__name__}({values})"

    NamedTuple = type.__new__(_Definition, "NamedTuple", (), {})
