"""Judgements about the mesh's own published bundle, by table."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.federation.own_bundle import next_bundle
from tests.tools.judgements import NO, YES, assert_judged
from tools.aws_checks.federation import OwnBundleSeen, ReadersSeen, judge_own_bundle, judge_readers

DOMAIN, HINT = "yelb.example", 600
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
A, B = (Hierarchy(name=name).root_pem for name in ("a", "b"))
FIRST = next_bundle(None, [A], HINT, NOW)
SECOND = next_bundle(FIRST, [A, B], HINT, NOW)


def _seen(**changes: Any) -> OwnBundleSeen:
    return replace(OwnBundleSeen(DOMAIN, HINT, (A,), FIRST.document, FIRST.notes(), NOW), **changes)


@pytest.mark.parametrize(
    ("changes", "verdict", "word"),
    [
        ({}, YES, "1 roots"),
        (
            {"roots": (A, B), "document": SECOND.document, "notes": SECOND.notes()},
            YES,
            "can be used from 2026-11-30 12:30",
        ),
        ({"roots": (A, B)}, NO, "not what Private CA"),
        ({"roots": (B,)}, NO, "not what Private CA"),
        ({"refresh_hint_s": 900}, NO, "not what Private CA"),
        ({"document": b"<html>"}, NO, "no bundle of ours"),
    ],
    ids=["as it is", "a new root waits", "a root is missing", "another root", "another hint", "something else"],
)
def test_partners_find_the_roots_of_now(changes: dict[str, Any], verdict: Any, word: str) -> None:
    """By what Private CA and the mesh file say."""
    assert_judged(judge_own_bundle(_seen(**changes)), verdict, word)


@pytest.mark.parametrize(
    ("public", "acls", "policies", "verdict"),
    [
        (False, True, True, YES),
        (True, True, False, YES),
        (True, True, True, NO),
        (False, True, False, NO),
        (True, False, False, NO),
    ],
)
def test_who_may_read_it_is_as_the_mesh_file_has_it(*, public: bool, acls: bool, policies: bool, verdict: Any) -> None:
    """Also where somebody has changed the bucket by hand."""
    blocked = {
        "BlockPublicAcls": acls,
        "IgnorePublicAcls": acls,
        "BlockPublicPolicy": policies,
        "RestrictPublicBuckets": policies,
    }

    assert_judged(judge_readers(ReadersSeen(public, blocked)), verdict)
