"""What an import is made with, and the mesh file while it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.converting.naming import answer_of
from meshcert.appmesh.resources import Unset
from meshcert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.appmesh.report import ImportReport


@dataclass(frozen=True)
class Answers:
    """
    What a person says that the sources do not.

    Args:
        parameters: Values of parameters, exports and placeholders, by name.
        name: Name of the mesh; empty for the one in the sources.
        namespace: Cloud Map namespace; empty for the one in the sources.
        images: Images of applications, by virtual node as in the sources; "" is that of all others.
        default_retries: True if the account had App Mesh's default retry policy; None if nobody says.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    namespace: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    default_retries: bool | None = None


@dataclass
class Draft:
    """
    The mesh file while it is made.

    Args:
        report: Gets what is told.
        answers: What a person says.
        values: Its content.
        comments: What it says about itself, by place.
    """

    report: ImportReport
    answers: Answers
    values: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)

    def comment(self, place: str, line: str) -> None:
        """Say something at a place of the file."""
        self.comments.setdefault(place, []).append(printable(" ".join(line.split())))

    def ask(self, place: str, question: str, remedy: str) -> None:
        """Leave something at a place of the file to a person."""
        self.report.ask(place, question, place, remedy)
        self.comment(place, f"? {question}")

    def ask_unset(self) -> None:
        """Ask for everything that nobody has filled in, once, at all of its places."""
        first: dict[tuple[str, ...], Unset] = {}
        for place, value in _unset(self.values, ""):
            asked = first.setdefault(value.names or (str(value),), value)
            self.report.ask(", ".join(asked.names) or "value", f"what is it, in {asked}?", place, answer_of(asked))
            self.comment(place, f"? what is {value}")


def _unset(value: Any, place: str) -> Iterator[tuple[str, Unset]]:
    if isinstance(value, Unset):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _unset(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unset(inner, f"{place}[{index}]")
