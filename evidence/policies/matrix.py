"""
What becomes of a call, for every client policy before every listener: App Mesh's rules as a function of five facts.

The rules are those of App Mesh's guide to TLS, "How App Mesh configures Envoys to negotiate TLS"; nothing here knows
how meshcert does it. Where the guide says nothing, the choice is marked as ours.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Server(StrEnum):
    """The TLS of the backend's listener."""

    NONE = "none"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"
    MUTUAL = "STRICT with `validation`"


class Policy(StrEnum):
    """The caller's client policy for the backend."""

    NONE = "none"
    OTHER_PORT = "other port"
    NOT_ENFORCED = "`enforce: false`"
    ENFORCED = "`enforce: true`"


class Source(StrEnum):
    """Where the listener's certificate comes from, and the trust of both ends; ``acm`` is an identity or hierarchy."""

    ACM = "acm"
    FILE = "file"
    SDS = "sds"


class Client(StrEnum):
    """The certificate in the client policy; App Mesh had no ``acm`` there."""

    NONE = "none"
    ACM = "acm"
    FILE = "file"
    SDS = "sds"


class Names(StrEnum):
    """The subject alternative names that each end lists, against those in the other's certificate."""

    RIGHT = "right"
    """Both list a name that is there."""
    WRONG = "wrong at the caller"
    """The caller lists a name that is not there."""
    STRANGER = "wrong at the listener"
    """The listener lists a name that is not there."""
    ABSENT = "absent"
    """None is listed; the backend's host is there."""
    ELSEWHERE = "host missing"
    """None is listed; the backend's host is not there."""


class Cell(NamedTuple):
    """One call."""

    server: Server
    policy: Policy
    source: Source
    client: Client
    names: Names

    @property
    def key(self) -> str:
        """Short and unique, for a path or a name."""
        return "".join(f"{values.index(value)}" for value, values in zip(self, DIMENSIONS, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{name}: {value}" for name, value in self._asdict().items())


DIMENSIONS: tuple[tuple[StrEnum, ...], ...] = tuple(map(tuple, (Server, Policy, Source, Client, Names)))
"""The values of each field of a :class:`Cell`."""
CELLS = tuple(Cell(*values) for values in product(*DIMENSIONS))  # type: ignore[arg-type]  # each of its own field


class Result(StrEnum):
    """What becomes of a request; where somebody refuses, it ends before the application. The causes are the log's."""

    PLAIN = "plain text"
    TLS = "TLS"
    TLS_UNCHECKED = "TLS, and nobody is authenticated"
    MUTUAL_TLS = "mutual TLS"
    NO_TLS_THERE = "the caller refuses: `plain-text`"
    WRONG_SERVER = "the caller refuses: `wrong-name`"
    NO_CERTIFICATE = "the listener refuses: `no-certificate`"
    WRONG_CLIENT = "the listener refuses: `wrong-name`"

    @property
    def is_answered(self) -> bool:
        """Whether the application gets the request."""
        return self in {Result.PLAIN, Result.TLS, Result.TLS_UNCHECKED, Result.MUTUAL_TLS}


def expected(cell: Cell) -> Result:
    """What App Mesh's rules say."""
    policy_decides = cell.policy in {Policy.NOT_ENFORCED, Policy.ENFORCED}
    if cell.server is Server.NONE:
        # That enforce: false falls back to plain text is ours; the guide names no other use of it.
        return Result.NO_TLS_THERE if cell.policy is Policy.ENFORCED else Result.PLAIN
    # Without a policy, a certificate from ACM is validated and one from a file is not; that of sds is ours.
    server_is_checked = policy_decides or cell.source is Source.ACM
    wrong = {Names.WRONG, Names.ELSEWHERE} if policy_decides else {Names.ELSEWHERE}
    if server_is_checked and cell.names in wrong:
        return Result.WRONG_SERVER
    if cell.server is Server.MUTUAL:
        # That a listener with validation demands a certificate is ours; the guide says "if the client provides one".
        if not policy_decides or cell.client is Client.NONE:
            return Result.NO_CERTIFICATE
        return Result.WRONG_CLIENT if cell.names is Names.STRANGER else Result.MUTUAL_TLS
    return Result.TLS if server_is_checked else Result.TLS_UNCHECKED


def pairwise_cover(cells: Iterable[Cell] = CELLS) -> list[Cell]:
    """
    Few of these cells, always the same ones.

    Every two values of different fields meet in one of them, and every value meets every result that it meets in all.
    """
    left, chosen = {cell: _pairs(cell) for cell in cells}, list[Cell]()
    while left:
        best = max(left, key=lambda cell: len(left[cell]))
        covered = left.pop(best)
        chosen.append(best)
        left = {cell: rest for cell, pairs in left.items() if (rest := pairs - covered)}
    return chosen


def _pairs(cell: Cell) -> frozenset[tuple[tuple[int, StrEnum], ...]]:
    return frozenset(combinations(enumerate((*cell, expected(cell))), 2))
