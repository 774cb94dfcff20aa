"""What an import tells: kept, changed, lost, and what a person has to decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


AS_IT_WAS = "→ "
"""Begins what is said of a field whose value is kept; its place in the mesh file follows."""


class Fate(StrEnum):
    """What becomes of something that the sources say."""

    KEPT = "kept"
    CHANGED = "changed"
    LOST = "lost"
    DECISION = "decision"


class Told(NamedTuple):
    """
    One thing that the report says.

    Args:
        fate: What becomes of it.
        what: The field or thing; the same for every resource that it is said of.
        why: What was done, or why it is lost, or the question.
        remedy: How to answer a question; else empty.
        where: The resources that it is said of, or places in the mesh file.
    """

    fate: Fate
    what: str
    why: str
    remedy: str
    where: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {"what": self.what, "why": self.why, "remedy": self.remedy, "where": list(self.where)}


@dataclass
class ImportReport:
    """
    Collects what is told; the same said of several resources is one entry.

    Args:
        skipped: Files and documents that hold nothing of App Mesh, with the reason.
    """

    skipped: list[str] = field(default_factory=list)
    _told: dict[tuple[Fate, str, str, str], dict[str, None]] = field(default_factory=dict)

    def tell(self, fate: Fate, what: str, why: str, where: str, remedy: str = "") -> None:
        """Say one thing of one resource or place."""
        self._told.setdefault((fate, what, why, remedy), {})[where] = None

    def ask(self, what: str, question: str, where: str, remedy: str) -> None:
        """Leave something to a person."""
        self.tell(Fate.DECISION, what, question, where, remedy)

    def of(self, fate: Fate) -> tuple[Told, ...]:
        """What is said with one fate, in the order in which it came up."""
        return tuple(
            Told(each, what, why, remedy, tuple(where))
            for (each, what, why, remedy), where in self._told.items()
            if each is fate
        )

    @property
    def is_complete(self) -> bool:
        """True if nothing is lost and nothing is left to decide."""
        return not self.of(Fate.LOST) and not self.of(Fate.DECISION)

    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {**{fate.value: [told.document() for told in self.of(fate)] for fate in Fate}, "skipped": self.skipped}


def listed(names: Iterable[str], most: int = 4) -> str:
    """A few names, and how many more there are."""
    each = list(names)
    more = len(each) - most
    return ", ".join(each[:most]) + (f" and {more} more" if more > 0 else "")
