"""What is remembered between two looks survives being written down."""

from __future__ import annotations

import datetime as dt
import functools
import json
import operator
from dataclasses import is_dataclass, replace
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import pytest

from meshcert.lifecycle.compromise import CompromisedCertificate, KeyCompromise
from meshcert.lifecycle.last_look import FaultSeen, LastLook
from meshcert.lifecycle.memory import (
    BegunRollout,
    CurrentVersion,
    Failure,
    KnownCertificate,
    Memory,
    Quarantine,
    RenewalRequest,
)
from meshcert.lifecycle.orders import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=dt.UTC)
KNOWN = KnownCertificate("1" * 64, "arn:certificate", NOW, NOW)
FULL = Memory(
    CurrentVersion("1" * 64, NOW, "arn:certificate", NOW, NOW),
    RenewalRequest("1" * 64, NOW, 2),
    {"teller": BegunRollout("1" * 64, "ecs-svc/1", NOW, "ecs-svc/2", 3, after_failure=True)},
    Quarantine("2" * 64, "a task failed", NOW, 2),
    Order("renew", "alice", "drill", NOW, "1" * 64),
    ("m1", "m2"),
    {"01": KNOWN},
    NOW,
    {"redeploy teller": Failure("1" * 64, "AccessDenied: no", NOW, NOW, 3, refused=True)},
    KeyCompromise(
        "alice",
        "it was in a log",
        NOW,
        (CompromisedCertificate("1" * 64, "01", "arn:ca", NOW, NOW, "0f"), CompromisedCertificate("2" * 64)),
        NOW,
        NOW,
    ),
    (Order("compromised", "bob", "lost", NOW, "2" * 64),),
    {"arn:certificate": "arn:ca"},
    LastLook(
        NOW,
        settled=False,
        action="wait",
        why="a deployment",
        service="teller",
        last_good="2" * 64,
        faults=(FaultSeen("ServedBehind", "a task"),),
    ),
)


def test_all_of_it_comes_back() -> None:
    """Times with their zone, nothing lost."""
    assert Memory.from_json(FULL.to_json()) == FULL
    assert Memory.from_json(Memory().to_json()) == Memory()


def test_it_stays_small() -> None:
    """
    Every save writes all of it: DynamoDB counts a write unit per KB (dynamodb: "Read/write capacity").

    A compromised key is rare, and what is remembered of it goes with the certificates' ends.
    """
    memory = replace(FULL, compromise=None)
    for number in range(20):
        memory = memory.knowing(f"{number:032x}", replace(KNOWN, version=f"{number:064x}"))
        memory = memory.ordered(Order("renew", "alice", "x" * 256, NOW), f"{number:036x}")

    assert len(memory.certificates) == len(memory.messages) == 8
    assert len(memory.to_json()) < 4096


def test_the_latest_certificates_are_known() -> None:
    """Seen again is latest again."""
    memory = Memory()
    for number in (*range(8), 0, 8):
        memory = memory.knowing(str(number), replace(KNOWN, version=str(number)))

    assert memory.holding("0")
    assert memory.holding("1") is None
    assert memory.holding("8")


def test_a_stored_row_stays_what_it_is() -> None:
    """Rows outlive a deploy in both directions: names, order and times are those of the rows before."""
    at, one, two = "2026-11-22T12:00:00.000005+00:00", "1" * 64, "2" * 64
    certificate = {"certificate_arn": "arn:certificate", "not_before": at, "not_after": at}
    row = {
        "schema": 1,
        "publication": {"version": one, "since": at} | certificate,
        "renewal": {"version": one, "at": at, "tries": 2},
        "rollouts": {
            "teller": {
                "version": one,
                "replaces": "ecs-svc/1",
                "at": at,
                "deployment": "ecs-svc/2",
                "tries": 3,
                "after_failure": True,
            }
        },
        "quarantine": {"version": two, "reason": "a task failed", "at": at, "count": 2},
        "order": {"kind": "renew", "by": "alice", "reason": "drill", "at": at, "version": one},
        "messages": ["m1", "m2"],
        "certificates": {"01": {"version": one} | certificate},
        "looked_at": at,
        "failures": {
            "redeploy teller": {
                "version": one,
                "why": "AccessDenied: no",
                "since": at,
                "at": at,
                "count": 3,
                "refused": True,
            }
        },
        "compromise": {
            "by": "alice",
            "reason": "it was in a log",
            "at": at,
            "certificates": [
                {
                    "version": one,
                    "serial_number": "01",
                    "certificate_authority_arn": "arn:ca",
                    "not_after": at,
                    "revoked_at": at,
                    "public_key": "0f",
                },
                {
                    "version": two,
                    "serial_number": "",
                    "certificate_authority_arn": "",
                    "not_after": None,
                    "revoked_at": None,
                    "public_key": "",
                },
            ],
            "earlier_at": at,
            "left_at": at,
        },
        "waiting": [{"kind": "compromised", "by": "bob", "reason": "lost", "at": at, "version": two}],
        "authorities": {"arn:certificate": "arn:ca"},
        "last_look": {
            "at": at,
            "settled": False,
            "action": "wait",
            "why": "a deployment",
            "service": "teller",
            "last_good": two,
            "faults": [{"kind": "ServedBehind", "detail": "a task"}],
        },
    }

    assert FULL.to_json() == json.dumps(row, separators=(",", ":"))
    assert Memory.from_json(json.dumps(row)) == FULL
    del row["compromise"], row["waiting"], row["authorities"], row["last_look"]
    assert Memory.from_json(json.dumps(row)) == replace(
        FULL, compromise=None, waiting=(), authorities={}, last_look=None
    )


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document that holds a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*path, name)
        yield from _places(each, (*path, name))


def _is(value: Any, hint: Any) -> bool:
    """True if a value has the type that it is declared with, to the last field."""
    args = get_args(hint)
    if isinstance(hint, UnionType):
        return any(_is(value, each) for each in args)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is(each, args[0]) for each in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_is(each, args[1]) for each in value.values())
    if is_dataclass(hint):
        hints = get_type_hints(hint, localns={"dt": dt})
        return type(value) is hint and all(_is(getattr(value, name), each) for name, each in hints.items())
    return type(value) is hint


@pytest.mark.parametrize("place", [*_places(json.loads(FULL.to_json()))], ids=lambda place: ".".join(map(str, place)))
def test_whatever_a_row_holds_the_memory_has_the_types_that_it_says(place: tuple[Any, ...]) -> None:
    """At each place something else. No look may fail because of its memory: it is made anew."""
    for wrong in (None, True, 7, 0.5, "x", [], ["x"], [None], {}, {"x": 1}, {"x": None}):
        document = json.loads(FULL.to_json())
        functools.reduce(operator.getitem, place[:-1], document)[place[-1]] = wrong

        assert _is(Memory.from_json(json.dumps(document)), Memory), wrong


def test_a_verdict_that_makes_no_sense_costs_nothing_else() -> None:
    """The next look writes another."""
    document = json.loads(FULL.to_json())
    document["last_look"]["at"] = "yesterday"

    assert Memory.from_json(json.dumps(document)) == replace(FULL, last_look=None)


def test_what_a_later_version_has_added_is_left_out() -> None:
    """A deploy of the version before finds its memory."""
    document = json.loads(FULL.to_json())
    document["publication"]["later"] = document["later"] = {"x": 1}

    assert Memory.from_json(json.dumps(document)) == FULL
