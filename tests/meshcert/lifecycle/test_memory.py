"""What is remembered between two looks survives being written down."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

from meshcert.lifecycle.compromise import CompromisedCertificate, KeyCompromise
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
    }

    assert FULL.to_json() == json.dumps(row, separators=(",", ":"))
    assert Memory.from_json(json.dumps(row)) == FULL
    del row["compromise"]
    assert Memory.from_json(json.dumps(row)) == replace(FULL, compromise=None)
