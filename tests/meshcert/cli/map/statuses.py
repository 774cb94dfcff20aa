"""Documents as ``meshcert status --json`` writes them; ``test_command.py`` holds them against a real one."""

from __future__ import annotations

from typing import Any

VERSION = "d648e9a2" + "0" * 56


def status(mesh: str, **gone: float) -> dict[str, Any]:
    """The status of identities, each with how much of its lifetime is gone."""
    return {
        "schema": 1,
        "mesh": mesh,
        "region": "eu-west-1",
        "at": "2026-12-01T15:42:35+00:00",
        "identities": [_identity(name, fraction) for name, fraction in gone.items()],
        "unreadable": [],
    }


def _identity(name: str, gone: float) -> dict[str, Any]:
    left_s = round(395 * 86400 * (1 - gone))
    task: dict[str, Any] = {
        "task": "de11cc9d0",
        "version": VERSION,
        "lifetime_gone": gone,
        "refused": None,
        "error": None,
        "requests": [],
    }
    return {
        "identity": name,
        "settled": True,
        "next": {"action": "nothing", "why": ""},
        "findings": [],
        "due": {"acm_renews_at": "2027-01-11T06:00:00+00:00", "meshcert_asks_at": None},
        "published": {
            "status": "PUBLISHED",
            "version": VERSION,
            "lifetime_gone": gone,
            "left_s": left_s,
            "not_after": "2027-01-31T00:00:00+00:00",
        },
        "services": [{"service": name, "tasks": [task, {**task, "task": "c30d8b760"}]}],
    }
