"""The result of the latest look at an identity, kept in its memory: what people are told of a large mesh at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.lifecycle.stored_values import read_record

if TYPE_CHECKING:
    import datetime as dt

MOST_FAULTS = 5
"""Of one look; a row of DynamoDB has room for many more, and a person reads the first."""
LONGEST_DETAIL = 300


@dataclass(frozen=True)
class FaultSeen:
    """
    A finding of the look.

    Args:
        kind: A value of :class:`meshcert.lifecycle.deciding.findings.Kind`.
        detail: What is at fault, and why; shortened to 300 characters.
    """

    kind: str
    detail: str


@dataclass(frozen=True)
class LastLook:
    """
    What a look ended with.

    Args:
        at: The time of the look.
        settled: Nothing was to be done or waited for.
        action: The next step, a value of :class:`meshcert.lifecycle.deciding.steps.Action`.
        why: Its reason, shortened like a detail.
        service: The service that it is about; empty if it is about none.
        last_good: The version that was last proven good; empty if there is none.
        faults: What a person should know.
    """

    at: dt.datetime
    settled: bool
    action: str
    why: str
    service: str = ""
    last_good: str = ""
    faults: tuple[FaultSeen, ...] = ()


def read_last_look(value: Any) -> LastLook | None:
    """
    A look's end from JSON; None if there is none, or if it makes no sense: the next look writes another.

    Args:
        value: What the memory's JSON has at its name.
    """
    try:
        faults = tuple(read_record(FaultSeen, each) for each in value["faults"])
        last_look: LastLook = read_record(LastLook, value | {"faults": faults})
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return last_look
