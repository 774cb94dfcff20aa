"""The faults that the checks of a mesh file have found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.errors import Fault
from meshcert.mesh.naming import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.mesh.mesh import Mesh

MOST_SUGGESTIONS = 100
"""Faults of one file that may say which word was meant."""
_ENDS = re.compile(r"[.\[]")


class Findings:
    """
    The faults of one file.

    Args:
        doubtful: Places that hold stand-ins (:mod:`meshcert.mesh.reading.mending`): no fault may depend on one.
    """

    def __init__(self, doubtful: Iterable[str] = ()) -> None:
        self._doubtful: set[str] = set()
        self._around_doubts: set[str] = set()
        for place in doubtful:
            self.doubt(place)
        self._faults: dict[tuple[str, str], Fault] = {}

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, each once."""
        return tuple(self._faults.values())

    def add(
        self, place: str, problem: str, remedy: str, *, given: Iterable[str] = (), within: Iterable[str] = ()
    ) -> None:
        """
        Report a fault, unless a place that it depends on is doubtful.

        Args:
            place: Where it is.
            problem: What is wrong there.
            remedy: What to do about it.
            given: Other places that it depends on.
            within: Places on everything in which it depends.
        """
        if not any(map(self._is_doubtful, (place, *given, *within))) and not any(map(self._has_doubts, within)):
            self._faults.setdefault((place, problem), Fault(place, problem, remedy))

    def doubt(self, place: str) -> None:
        """From now on, report no fault that depends on ``place``: its value is wrong, and the right one is unknown."""
        self._doubtful.add(place)
        self._around_doubts.update(_around(place))

    def remedy(self, word: str, known: Iterable[str], otherwise: str) -> str:
        """
        A remedy for an unknown word: the known one that was probably meant, or ``otherwise``.

        Only for the first faults: comparing words takes long, and no file with so many faults has a typing error.
        """
        return suggestion(word, known, otherwise) if len(self._faults) < MOST_SUGGESTIONS else otherwise

    def require_known(self, mesh: Mesh, place: str, section: str, name: str) -> bool:
        """
        True if ``name`` is declared in a section of the file; otherwise a fault is reported.

        Args:
            place: Where the name is used.
            section: ``hierarchies``, ``identities``, ``virtual_gateways`` or ``virtual_nodes``.
            name: The name that is used.
        """
        known = getattr(mesh, section)
        if name in known:
            return True
        otherwise = f"Declare it under {section}" + (f", or use one of: {', '.join(known)}" if known else "")
        self.add(
            place, f"{name!r} is not declared under {section}", self.remedy(name, known, otherwise), given=(section,)
        )
        self.doubt(place)
        return False

    def _is_doubtful(self, ground: str) -> bool:
        return ground in self._doubtful or any(place in self._doubtful for place in _around(ground))

    def _has_doubts(self, ground: str) -> bool:
        return ground in self._around_doubts


def _around(place: str) -> Iterator[str]:
    """The places that a place is part of, as text: a name may have dots, too."""
    return (place[: end.start()] for end in _ENDS.finditer(place))
